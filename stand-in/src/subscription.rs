//! When a stream is answered: the rules of the xDS server that Kuma is built on, and nothing else.
//!
//! All of Kuma's behaviour on a stream follows from two rules. A request whose nonce is not that
//! of the stream's last response is ignored. Any other is answered at once if its version is not
//! the current one, and otherwise waits for the next version. So a resumed stream with the
//! current version stays silent; an ACK is followed by silence until the next publication; a NACK,
//! which carries the version before, brings the same snapshot again at once; and no response is
//! sent while one is neither ACKed nor NACKed.

/// What one stream waits for.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    /// The number of responses so far: the last one's nonce.
    responses: u64,
    /// Whether a request waits for an answer.
    waiting: bool,
}

impl Subscription {
    /// A request came, while `current` is the version of the snapshot, if there is one. Returns
    /// the nonce to answer with, or nothing.
    pub(crate) fn request(
        &mut self,
        nonce: &str,
        version: &str,
        current: Option<&str>,
    ) -> Option<String> {
        if self.responses > 0 && nonce != self.responses.to_string() {
            return None;
        }
        self.waiting = true;
        current.filter(|current| *current != version).and_then(|_| self.published())
    }

    /// A new snapshot was published. Returns the nonce to send it with, or nothing if the stream
    /// waits for no answer.
    pub(crate) fn published(&mut self) -> Option<String> {
        std::mem::take(&mut self.waiting).then(|| self.next_nonce())
    }

    /// The nonce of a response that is sent whatever the rules say.
    pub(crate) fn next_nonce(&mut self) -> String {
        self.responses += 1;
        self.responses.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_stream_gets_the_snapshot_and_then_silence() {
        let mut stream = Subscription::default();
        assert_eq!(stream.request("", "", Some("a")), Some("1".to_owned()));
        assert_eq!(stream.request("1", "a", Some("a")), None, "an ACK");
        assert_eq!(stream.published(), Some("2".to_owned()));
        assert_eq!(stream.published(), None, "the last one is not ACKed yet");
        assert_eq!(stream.request("2", "b", Some("c")), Some("3".to_owned()));
    }

    #[test]
    fn a_resumed_stream_with_the_current_version_is_silent() {
        let mut stream = Subscription::default();
        assert_eq!(stream.request("", "a", Some("a")), None);
        assert_eq!(stream.published(), Some("1".to_owned()));
    }

    #[test]
    fn a_nack_brings_the_same_again_and_a_stale_nonce_nothing() {
        let mut stream = Subscription::default();
        assert_eq!(stream.request("", "", Some("a")), Some("1".to_owned()));
        assert_eq!(stream.request("1", "", Some("a")), Some("2".to_owned()));
        assert_eq!(stream.request("1", "a", Some("b")), None, "a stale nonce");
        assert_eq!(stream.published(), None);
    }

    #[test]
    fn without_a_snapshot_a_stream_waits() {
        let mut stream = Subscription::default();
        assert_eq!(stream.request("", "", None), None);
        assert_eq!(stream.published(), Some("1".to_owned()));
    }
}
