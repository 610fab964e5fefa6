//! The bearer token for the API server: where it is sent and where it is not, and its replacement
//! while the daemon runs.

use kuma_stand_in::{Authority, ControlPlane, Event, KumaVersion, Server};

use crate::support::check::{check, failed, passed};
use crate::support::following::at_once;
use crate::support::foreign_servers::Proxy;
use crate::support::harness::Launch;
use crate::support::mesh::EMPTY;
use crate::support::observe::asked;
use crate::support::secure::{api_url, plane as secure_plane, server_of, shows, trusting};

const TOKEN: &str = "open-sesame";
const NEXT_TOKEN: &str = "close-sesame";

/// A launch that has a token for the API server, in `token` in its folder.
fn with_token(launch: Launch, token: &str) -> Launch {
    launch.put("token", token);
    launch.argument("--cp-token-file=token")
}

#[test]
fn the_token_goes_to_config_of_the_api_server_and_nowhere_else() {
    for kuma in [KumaVersion::V2_6, KumaVersion::V2_12] {
        let plane = ControlPlane::start(kuma);
        plane.api().require_token(Some(TOKEN));
        let launch = with_token(Launch::follow(&plane.api_url()), &format!("{TOKEN}\n"));
        let daemon = launch.start();
        daemon.wait_for_file(EMPTY);
        let api = asked(&plane).into_iter();
        let headers: Vec<_> = api
            .filter(|(server, _)| *server == Server::Api)
            .map(|(_, request)| {
                let token = request.header("authorization").map(str::to_owned);
                (request.target, token)
            })
            .collect();
        let config = ("/config".to_owned(), Some(format!("Bearer {TOKEN}")));
        assert_eq!(headers, [("/catalog".to_owned(), None), config]);
        for event in plane.events().seen() {
            match event {
                Event::Request(request) => {
                    let http = request.http.unwrap_or_default();
                    assert_eq!(http.header("authorization"), None);
                }
                Event::Http { server: Server::Mads, request, .. } => {
                    panic!("asked of MADS: {request:?}")
                }
                _ => {}
            }
        }
    }
}

#[test]
fn the_token_is_in_no_log() {
    let authority = Authority::new("the authority");
    let secure = secure_plane(&server_of(&authority));
    let plain = ControlPlane::start(KumaVersion::V2_12);
    for (plane, address) in [(&secure, api_url(&secure)), (&plain, plain.api_url())] {
        plane.api().require_token(Some(TOKEN));
        let launch = trusting(&authority, &address).argument("--log-level=trace");
        let daemon = with_token(launch, TOKEN).start();
        daemon.wait_for_file(EMPTY);
        let log = daemon.terminate().stderr;
        assert!(log.contains("Request {"), "it has nothing of what it must hide");
        assert!(!shows(&log, TOKEN), "{log}");
    }
}

const REFUSED: &str = "the API server refuses the token in token with status 401";

#[test]
fn a_token_that_is_refused_is_reported_until_there_is_another() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.api().require_token(Some(TOKEN));
    let proxy = Proxy::to_usual_ports(&plane);
    let launch = Launch::follow("http://cp.invalid:5681").variable("HTTP_PROXY", proxy.authority());
    let launch = with_token(launch, NEXT_TOKEN);
    let daemon = launch.start();
    let line = daemon.wait_for_warning(REFUSED);
    let advice = "so MADS is taken to be at its usual port; put a token there that it accepts, or \
                  give --cp-address=grpc://cp.invalid:5676";
    assert!(line.contains(advice), "{line}");
    daemon.wait_for_log("connected to MADS at cp.invalid:5676");
    daemon.wait_for_file(EMPTY);

    launch.put("token", TOKEN);
    plane.restart();
    daemon.wait_for_log(&format!("connected to MADS at cp.invalid:{}", plane.port()));
    assert_eq!(daemon.lines_with(REFUSED), 1);
    assert_eq!(daemon.lines_with("sesame"), 0);
    // It goes through the tunnel.
    assert!(proxy.heads().iter().all(|head| !head.contains("sesame")));
}

#[test]
fn a_check_fails_where_the_token_is_refused_though_a_list_comes() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.api().require_token(Some(TOKEN));
    let proxy = Proxy::to_usual_ports(&plane);
    for (token, is_refused) in [(NEXT_TOKEN, true), (TOKEN, false)] {
        let check = check("http://cp.invalid:5681").variable("HTTP_PROXY", proxy.authority());
        let check = with_token(check, token);
        let told = match is_refused {
            true => failed(&check),
            false => passed(&check),
        };
        assert!(told.contains("a list has come"), "{told}");
        assert_eq!(told.contains(REFUSED), is_refused, "{told}");
    }
}

#[test]
fn a_token_that_cannot_be_used_is_reported_by_its_file_and_read_again() {
    let cases: [(Option<&[u8]>, &str); 6] = [
        (None, ""),
        (Some(b""), "it is empty"),
        (Some(b" \n"), "it is empty"),
        (Some(b"open sesame"), "not a valid bearer token"),
        (Some(b"open-sesame\r\nx-other: header"), "not a valid bearer token"),
        (Some(b"\xff\xfeopen-sesame"), ""),
    ];
    at_once(cases, |(content, expected)| {
        let plane = ControlPlane::start(KumaVersion::V2_6);
        plane.api().require_token(Some(TOKEN));
        let launch = Launch::follow(&plane.api_url()).argument("--cp-token-file=token");
        if let Some(content) = content {
            launch.put("token", content);
        }
        let daemon = launch.start();
        let line = daemon.wait_for_trouble();
        let expected = format!("cannot read the token in token: {expected}");
        assert!(line.contains(&expected), "{line}");
        assert!(!line.contains("sesame"), "{line}");
        launch.put("token", TOKEN);
        daemon.wait_for_file(EMPTY);
    });
}

#[test]
fn mads_itself_needs_no_token() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let launch = Launch::follow(&plane.grpc_url()).argument("--cp-token-file=is-not-there");
    launch.start().wait_for_file(EMPTY);
}
