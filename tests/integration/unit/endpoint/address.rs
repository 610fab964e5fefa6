//! Every form of `--cp-address`, and every way to get it wrong.

use kuma_prometheus_sd::mads::transport::address::{Address, Scheme, authority};

use super::{address, line};

#[test]
fn an_address_has_a_scheme_a_host_a_port_and_perhaps_a_path() {
    use Scheme::{Grpc, Grpcs, Http, Https};
    for (text, scheme, host, port, path) in [
        ("http://localhost:5681", Http, "localhost", 5681, ""),
        ("http://localhost", Http, "localhost", 80, ""),
        ("https://cp.example", Https, "cp.example", 443, ""),
        ("grpc://cp.example", Grpc, "cp.example", 5676, ""),
        ("grpcs://cp.example", Grpcs, "cp.example", 5676, ""),
        ("grpc://cp.example:80", Grpc, "cp.example", 80, ""),
        ("HTTPS://CP.example", Https, "CP.example", 443, ""),
        ("grpc://LOCALHOST", Grpc, "localhost", 5676, ""),
        ("http://10.0.0.1:1", Http, "10.0.0.1", 1, ""),
        ("http://10.0.0.1:65535", Http, "10.0.0.1", 65535, ""),
        ("http://localhost:05681", Http, "localhost", 5681, ""),
        ("http://localhost:", Http, "localhost", 80, ""),
        ("http://[::1]:5681", Http, "::1", 5681, ""),
        ("grpc://[fd00::1]", Grpc, "fd00::1", 5676, ""),
        ("http://localhost/", Http, "localhost", 80, ""),
        ("grpc://localhost/", Grpc, "localhost", 5676, ""),
        ("grpc://localhost//", Grpc, "localhost", 5676, ""),
        ("http://localhost/a", Http, "localhost", 80, "/a"),
        ("https://localhost:1/a/b/", Https, "localhost", 1, "/a/b"),
        ("http://[::1]/a%20b", Http, "::1", 80, "/a%20b"),
        ("http://kuma-cp.kuma_system", Http, "kuma-cp.kuma_system", 80, ""),
    ] {
        let expected = Address { scheme, host: host.to_owned(), port, path: path.to_owned() };
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn an_address_that_cannot_be_used_is_refused_with_what_is_wrong() {
    let malformed = "not an address of the form http://HOST:PORT, https://…, grpc://… or grpcs://…";
    let no_host = "the address has no host";
    let credentials = "a user name or password does not belong in the address; it is not used";
    let query = "the address must not have a query or a fragment";
    let scheme = |scheme| format!("unknown scheme {scheme:?}; use http, https, grpc or grpcs");
    let port = |port| format!("port {port:?} is not a number from 1 to 65535");
    let path = |path| format!("an address of gRPC has no path, but {path:?}");
    for (text, expected) in [
        ("", malformed),
        ("localhost", malformed),
        ("localhost:5681", malformed),
        ("http:/localhost", malformed),
        ("http:localhost", malformed),
        ("http://::1", malformed),
        ("http://[::1", malformed),
        ("http://[localhost]", malformed),
        ("http://[]", malformed),
        ("http://[::1]5681", malformed),
        ("http://[fe80::1%eth0]", malformed),
        ("http://a:1:2", malformed),
        ("http://a b", malformed),
        ("http://local host/", malformed),
        ("http://a\n", malformed),
        ("http://a/b c", malformed),
        ("ftp://localhost", &scheme("ftp")),
        ("://localhost", &scheme("")),
        ("htpp://localhost", &scheme("htpp")),
        ("http://", no_host),
        ("http:///path", no_host),
        ("http://:5681", no_host),
        ("grpc://:", no_host),
        ("http://localhost:0", &port("0")),
        ("http://localhost:65536", &port("65536")),
        ("http://localhost:-1", &port("-1")),
        ("http://localhost:+80", &port("+80")),
        ("http://localhost:http", &port("http")),
        ("http://localhost:80 ", &port("80 ")),
        ("http://[::1]:99999", &port("99999")),
        ("http://user@localhost", credentials),
        ("http://user:secret@localhost:5681/", credentials),
        ("http://localhost?a=b", query),
        ("http://localhost/a?b", query),
        ("http://localhost/#a", query),
        ("grpc://localhost/a", &path("/a")),
        ("grpcs://localhost:5676/a/b/", &path("/a/b")),
    ] {
        let error = text.parse::<Address>();
        assert_eq!(error.map_err(|error| error.to_string()), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn an_address_is_shown_as_it_is_understood() {
    for (text, expected) in [
        ("HTTP://cp", "http://cp:80"),
        ("https://cp/a/", "https://cp:443/a"),
        ("grpc://[::1]", "grpc://[::1]:5676"),
        ("grpcs://cp:1", "grpcs://cp:1"),
    ] {
        assert_eq!(address(text).to_string(), expected);
        assert_eq!(address(expected), address(text));
    }
}

#[test]
fn only_addresses_of_http_may_be_an_api_server() {
    for (text, expected) in
        [("http://a", true), ("https://a", true), ("grpc://a", false), ("grpcs://a", false)]
    {
        assert_eq!(address(text).may_be_api_server(), expected);
    }
}

#[test]
fn an_address_taken_as_mads_itself_keeps_its_port_path_and_security() {
    for (text, expected) in [
        ("http://cp:5676", "Plaintext cp:5676 by Address"),
        ("http://cp/a/b", "Plaintext cp:80/a/b by Address"),
        ("https://cp", "Tls cp:443 by Address"),
        ("grpc://cp", "Plaintext cp:5676 by Address"),
        ("grpcs://[::1]:1", "Tls [::1]:1 by Address"),
    ] {
        assert_eq!(line(&address(text).as_mads()), expected);
    }
}

#[test]
fn an_authority_has_brackets_around_ipv6_only() {
    assert_eq!(authority("localhost", 80), "localhost:80");
    assert_eq!(authority("10.0.0.1", 80), "10.0.0.1:80");
    assert_eq!(authority("fd00::1", 80), "[fd00::1]:80");
}
