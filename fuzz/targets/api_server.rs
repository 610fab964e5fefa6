//! Bodies of the API server's `/catalog` and `/config`: whatever they say, what comes out is an
//! endpoint that can be named in a URL, or an error that can be told on one line.
#![no_main]

use kuma_prometheus_sd::mads::endpoint::{Answer, from_catalog, from_config};
use kuma_prometheus_sd::mads::transport::address::Address;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    let address: Address = "http://cp:5681".parse().expect("an address");
    let answer = Answer { status: 200, location: body.to_owned(), body: body.to_owned() };
    let endpoints = [
        from_catalog(&address, &answer).map(Some),
        from_config(&address, &answer).map(|e| Some(Some(e))),
    ];
    for endpoint in endpoints {
        match endpoint {
            Ok(endpoint) => {
                if let Some(endpoint) = endpoint.flatten() {
                    let url = format!("grpc://{}", endpoint.authority());
                    assert!(url.parse::<Address>().is_ok(), "{url}");
                }
            }
            Err(error) => assert!(!error.to_string().contains(char::is_control)),
        }
    }
});
