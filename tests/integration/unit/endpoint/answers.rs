//! What the API servers of all Kumas answer, or whatever else is at their address, and where that
//! leads.

use kuma_prometheus_sd::mads::endpoint::{
    Answer, AnswerError, LocationUnknown, Origin, from_catalog, from_config,
};
use kuma_prometheus_sd::mads::transport::address::Security;

use super::{address, line};
use crate::support::captures::{self, ApiAnswer, ApiServer};

fn ok(body: &str) -> Answer {
    answer(200, body)
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, location: String::new(), body: body.to_owned() }
}

fn captured(captured: &ApiAnswer) -> Answer {
    answer(captured.status, &captured.body)
}

#[test]
fn kuma_0_7_says_in_its_catalog_where_mads_is() {
    let kuma: ApiServer = captures::load("0.7-A/api-server.json");
    for (asked, expected) in [
        ("http://localhost:5681", "Plaintext localhost:5676 by Catalog"),
        // What Kuma calls localhost is its own host.
        ("http://cp.example:5681", "Plaintext cp.example:5676 by Catalog"),
        ("http://[fd00::1]:5681", "Plaintext [fd00::1]:5676 by Catalog"),
        // It says plaintext, and it is the one to know.
        ("https://cp.example:5682/kuma", "Plaintext cp.example:5676 by Catalog"),
    ] {
        let found = from_catalog(&address(asked), &captured(&kuma.catalog));
        assert_eq!(line(&found.unwrap().unwrap()), expected);
    }
}

#[test]
fn every_kuma_says_in_its_config_where_mads_is() {
    for kuma in ["0.7-A", "1.2-A", "2.6-A", "2.6-M", "2.12-A", "2.12-M"] {
        let server: ApiServer = captures::load(&format!("{kuma}/api-server.json"));
        for (asked, expected) in [
            ("http://localhost:5681", "Plaintext localhost:5676 by Config"),
            ("http://cp.example:5681/kuma", "Plaintext cp.example:5676 by Config"),
            ("https://cp.example:5682", "Plaintext cp.example:5676 by Config"),
        ] {
            let found = from_config(&address(asked), &captured(&server.config));
            assert_eq!(line(&found.unwrap()), expected, "{kuma}");
        }
    }
}

#[test]
fn a_kuma_without_a_catalog_is_asked_for_its_config() {
    let asked = address("http://cp:5681");
    for kuma in ["1.2-A", "2.6-A", "2.6-M", "2.12-A", "2.12-M"] {
        let server: ApiServer = captures::load(&format!("{kuma}/api-server.json"));
        assert_eq!(server.catalog.status, 404);
        assert_eq!(from_catalog(&asked, &captured(&server.catalog)), Ok(None), "{kuma}");
        // So is one that answers every path with its front page.
        assert_eq!(from_catalog(&asked, &captured(&server.root)), Ok(None), "{kuma}");
        let found = from_config(&asked, &captured(&server.root)).unwrap();
        assert_eq!(line(&found), "Plaintext cp:5676 by Guess(NoSection)", "{kuma}");
    }
}

fn catalog(url: &str) -> Answer {
    ok(&format!(r#"{{"apis":{{"monitoringAssignment":{{"url":"{url}"}}}}}}"#))
}

#[test]
fn a_loopback_host_in_the_catalog_means_the_host_that_was_asked() {
    let asked = address("https://cp.example:5682");
    for (url, expected) in [
        ("grpc://localhost:5676", "Plaintext cp.example:5676"),
        ("grpc://LocalHost:1", "Plaintext cp.example:1"),
        ("grpc://127.0.0.1:5676", "Plaintext cp.example:5676"),
        ("grpc://127.1.2.3:5676", "Plaintext cp.example:5676"),
        ("grpc://0.0.0.0:5676", "Plaintext cp.example:5676"),
        ("grpc://[::1]:5676", "Plaintext cp.example:5676"),
        ("grpc://[::]:5676", "Plaintext cp.example:5676"),
        ("grpc://mads.example", "Plaintext mads.example:5676"),
        ("grpcs://mads.example:1", "Tls mads.example:1"),
        ("grpc://10.0.0.1:5676", "Plaintext 10.0.0.1:5676"),
        ("http://mads.example:8080/a", "Plaintext mads.example:8080/a"),
        ("https://localhost/a", "Tls cp.example:443/a"),
        ("grpc://localhost.example:1", "Plaintext localhost.example:1"),
    ] {
        let found = from_catalog(&asked, &catalog(url)).unwrap().unwrap();
        assert_eq!(line(&found), format!("{expected} by Catalog"), "{url}");
    }
}

#[test]
fn a_catalog_that_does_not_speak_of_mads_leads_to_the_config() {
    let asked = address("http://cp:5681");
    for answer in [
        ok(""),
        ok("<html>"),
        ok("[]"),
        ok("null"),
        ok("{}"),
        ok(r#"{"apis":null}"#),
        ok(r#"{"apis":{"bootstrap":{"url":"http://localhost:5682"}}}"#),
        ok(r#"{"apis":{"monitoringAssignment":{}}}"#),
        ok(r#"{"apis":{"monitoringAssignment":{"url":7}}}"#),
        catalog(""),
        answer(400, "bad request"),
        answer(401, "no"),
        answer(403, "no"),
        answer(404, "404: Page Not Found"),
        answer(405, ""),
        answer(410, ""),
    ] {
        assert_eq!(from_catalog(&asked, &answer), Ok(None), "{answer:?}");
    }
}

#[test]
fn a_url_in_the_catalog_that_is_none_is_named() {
    let asked = address("http://cp:5681");
    for url in ["localhost:5676", "tcp://localhost:5676", "grpc://", "grpc://a:99999"] {
        let error = from_catalog(&asked, &catalog(url)).unwrap_err();
        assert_eq!(error, AnswerError::CatalogUrl(url.to_owned()));
        let text = format!("the URL of MADS cannot be used: {url:?}");
        assert_eq!(error.to_string(), text);
    }
}

fn config(section: &str) -> Answer {
    ok(&format!(r#"{{"monitoringAssignmentServer":{section},"general":{{}}}}"#))
}

#[test]
fn a_config_gives_port_and_security() {
    let asked = address("https://cp:5682/kuma");
    for (section, expected) in [
        (r#"{"port":1}"#, "Plaintext cp:1"),
        (r#"{"grpcPort":2}"#, "Plaintext cp:2"),
        (r#"{"port":1,"grpcPort":2}"#, "Plaintext cp:1"),
        (r#"{"port":0,"grpcPort":2}"#, "Plaintext cp:2"),
        (r#"{"port":1,"grpcPort":0}"#, "Plaintext cp:1"),
        (r#"{"port":null,"grpcPort":2}"#, "Plaintext cp:2"),
        (r#"{"port":1,"tlsEnabled":false}"#, "Plaintext cp:1"),
        (r#"{"port":1,"tlsEnabled":null}"#, "Plaintext cp:1"),
        (r#"{"port":1,"tlsEnabled":true}"#, "Tls cp:1"),
        (r#"{"port":1,"enabled":true,"future":[]}"#, "Plaintext cp:1"),
    ] {
        let found = from_config(&asked, &config(section)).unwrap();
        assert_eq!(line(&found), format!("{expected} by Config"), "{section}");
    }
}

#[test]
fn tls_that_the_config_names_is_used_even_where_the_address_is_plaintext() {
    let found = from_config(&address("http://cp"), &config(r#"{"port":1,"tlsEnabled":true}"#));
    assert_eq!(found.unwrap().address.security(), Security::Tls);
}

#[test]
fn where_the_config_has_no_port_the_usual_one_is_taken() {
    for (asked, expected) in [
        ("http://cp:5681", "Plaintext cp:5676"),
        ("https://cp:5682", "Tls cp:5676"),
        ("https://[::1]", "Tls [::1]:5676"),
    ] {
        let asked = address(asked);
        for (answer, silence) in [
            (answer(401, "{}"), LocationUnknown::Refused(401)),
            (answer(403, "access denied"), LocationUnknown::Refused(403)),
            (ok("{}"), LocationUnknown::NoSection),
            (config("null"), LocationUnknown::NoSection),
        ] {
            let found = from_config(&asked, &answer).unwrap();
            let origin = Origin::Guess(silence);
            assert_eq!(line(&found), format!("{expected} by {origin:?}"));
        }
    }
}

#[test]
fn where_there_is_no_config_the_address_is_mads_itself() {
    for asked in ["http://cp:5676/a", "https://cp:5676"] {
        let asked = address(asked);
        for status in [404, 405, 410] {
            let found = from_config(&asked, &answer(status, "404: Page Not Found"));
            assert_eq!(found, Ok(asked.as_mads()), "{status}");
        }
    }
}

#[test]
fn a_status_that_says_nothing_about_where_mads_is_is_an_error() {
    let asked = address("http://cp:5681");
    for status in [400, 402, 406, 415, 451] {
        let found = from_config(&asked, &answer(status, "no"));
        assert_eq!(found, Err(AnswerError::Status(status)));
        // `/config` may still say it.
        assert_eq!(from_catalog(&asked, &answer(status, "no")), Ok(None));
    }
}

#[test]
fn below_a_base_path_the_address_is_mads_itself() {
    let asked = address("https://ingress/kuma");
    let redirect =
        Answer { status: 302, location: "https://login".to_owned(), body: String::new() };
    let answers = [
        answer(401, "{}"),
        answer(403, "access denied"),
        answer(404, "not found"),
        redirect.clone(),
        ok("<html>log in</html>"),
    ];
    for answer in answers {
        assert_eq!(from_catalog(&asked, &answer), Ok(None), "{answer:?}");
        let found = from_config(&asked, &answer);
        assert_eq!(found, Ok(asked.as_mads()), "{answer:?}");
    }
    assert!(from_catalog(&address("https://ingress"), &redirect).is_err());
}

#[test]
fn a_config_shows_control_planes_that_may_serve_no_mads() {
    let global = Some("this is a global control plane");
    let kubernetes = Some("this control plane runs on Kubernetes");
    for (kind, expected) in [
        (r#""mode":"global","environment":"universal""#, global),
        (r#""mode":"global","environment":"kubernetes""#, global),
        (r#""mode":"zone","environment":"kubernetes""#, kubernetes),
        (r#""mode":"zone","environment":"universal""#, None),
        (r#""mode":"standalone""#, None),
    ] {
        for section in ["null", r#"{"port":5676}"#] {
            let body = format!(r#"{{{kind},"monitoringAssignmentServer":{section}}}"#);
            let found = from_config(&address("http://cp"), &ok(&body)).unwrap();
            let told = found.without_mads.unwrap_or_default();
            assert_eq!(told.is_empty(), expected.is_none(), "{body}");
            assert!(told.starts_with(expected.unwrap_or_default()), "{body}");
        }
    }
}

/// Both questions, of the same answer.
#[track_caller]
fn assert_no_verdict(answer: &Answer, expected: &AnswerError, text: &str) {
    let asked = address("http://cp:5681");
    assert_eq!(from_catalog(&asked, answer).as_ref(), Err(expected));
    assert_eq!(from_config(&asked, answer).as_ref(), Err(expected));
    assert_eq!(expected.to_string(), text);
}

#[test]
fn an_outage_is_no_verdict_on_the_address() {
    for status in [408, 429, 500, 502, 503, 504, 599] {
        let text = format!("status {status}");
        assert_no_verdict(&answer(status, "down"), &AnswerError::Status(status), &text);
    }
}

/// In the words of a Go server to a client that speaks plaintext to it.
#[test]
fn a_server_that_expects_tls_is_distinguished_from_one_that_is_no_api_server() {
    let answer = answer(400, "Client sent an HTTP request to an HTTPS server.\n");
    let text = "TLS is spoken there; give an address with https:// or grpcs://";
    assert_no_verdict(&answer, &AnswerError::TlsExpected, text);
}

#[test]
fn a_redirect_is_not_followed_but_named() {
    for (location, text) in [
        (
            "https://cp:5682/catalog",
            "redirected to \"https://cp:5682/catalog\", which is not followed; give that address \
             as --cp-address",
        ),
        ("", "redirected to \"\", which is not followed; give that address as --cp-address"),
    ] {
        for status in [300, 301, 302, 303, 307, 308] {
            let answer = Answer { status, location: location.to_owned(), body: "moved".to_owned() };
            let location = location.to_owned();
            assert_no_verdict(&answer, &AnswerError::Redirect { location }, text);
        }
    }
}

#[test]
fn a_config_that_is_no_json_is_no_kumas() {
    for body in ["", "<html>", "[", r#"{"monitoringAssignmentServer":7}"#] {
        let error = from_config(&address("http://cp"), &ok(body)).unwrap_err();
        let AnswerError::NotJson(reason) = &error else {
            panic!("{body}: {error:?}");
        };
        let text = format!("not the JSON of a Kuma control plane ({reason}); check --cp-address");
        assert_eq!(error.to_string(), text);
    }
    for section in [r#"{"port":"5676"}"#, r#"{"port":70000}"#, r#"{"port":-1}"#] {
        let error = from_config(&address("http://cp"), &config(section)).unwrap_err();
        assert!(matches!(error, AnswerError::NotJson(_)), "{section}: {error:?}");
    }
}

#[test]
fn a_control_plane_that_has_mads_disabled_is_reported() {
    let disabled = config(r#"{"enabled":false,"port":5676}"#);
    let error = from_config(&address("http://cp"), &disabled).unwrap_err();
    assert_eq!(error, AnswerError::Disabled(None));
    let text = "the control plane has MADS disabled; set monitoringAssignmentServer.enabled there";
    assert_eq!(error.to_string(), text);
    let body = r#"{"mode":"global","monitoringAssignmentServer":{"enabled":false}}"#;
    let error = from_config(&address("http://cp"), &ok(body)).unwrap_err();
    let text = "the control plane has MADS disabled; this is a global control plane, ";
    assert!(error.to_string().starts_with(text), "{error}");
}

#[test]
fn a_config_without_a_port_says_so() {
    for section in ["{}", r#"{"port":0}"#, r#"{"port":0,"grpcPort":0}"#] {
        let error = from_config(&address("http://cp"), &config(section)).unwrap_err();
        assert_eq!(error, AnswerError::NoPort);
        assert_eq!(
            error.to_string(),
            "monitoringAssignmentServer has no port; give the address of MADS as --cp-address"
        );
    }
}

#[test]
fn text_from_the_network_cannot_break_a_log_line() {
    let answer = Answer {
        status: 302,
        location: format!("\u{1b}[2J\n{}", "x".repeat(1000)),
        body: String::new(),
    };
    let error = from_config(&address("http://cp"), &answer).unwrap_err();
    let text = error.to_string();
    assert!(!text.contains(char::is_control) && text.len() < 500, "{text}");
    let error = AnswerError::CatalogUrl(format!("\u{1b}\n{}", "x".repeat(1000)));
    let text = error.to_string();
    assert!(!text.contains(char::is_control) && text.len() < 500, "{text}");
}
