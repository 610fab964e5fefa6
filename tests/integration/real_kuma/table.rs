//! What came of each try: printed as a table, and judged when all are done, so that one that fails
//! hides no other.

/// The rows so far.
#[derive(Default)]
pub(crate) struct Table {
    failures: Vec<String>,
}

impl Table {
    /// A try and what came of it: a word, or what is wrong.
    pub(crate) fn row(&mut self, what: &str, outcome: Result<String, String>) {
        match outcome {
            Ok(outcome) => println!("{what} | {outcome}"),
            Err(reason) => {
                println!("{what} | FAILED: {reason}");
                self.failures.push(what.to_owned());
            }
        }
    }

    /// Fails if any of them has.
    #[track_caller]
    pub(crate) fn judge(self) {
        let failures = self.failures;
        assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    }
}
