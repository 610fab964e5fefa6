//! The certificate that a control plane makes for itself where it was given none: it signs itself,
//! says that it is an issuer's (`CA:TRUE`), and serves by itself.

use kuma_stand_in::{Authority, Identity, KumaVersion, Plan, Tls, Validity};

use crate::support::check::{check, failed, passed};
use crate::support::harness::{Launch, localhost_is_known};
use crate::support::mesh::{EMPTY, backend, file_v1};
use crate::support::secure::{CONNECTED, api_url, grpcs_url, plane};

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A launch with a certificate as `--ca-cert-file`.
fn given(pem: &str, address: &str) -> Launch {
    let launch = Launch::follow(address).argument("--ca-cert-file=ca.pem");
    launch.put("ca.pem", pem);
    launch
}

/// A check that trusts what a launch trusts.
fn checked_with(launch: &Launch, address: &str) -> Launch {
    check(address)
        .argument("--ca-cert-file")
        .argument(launch.folder().join("ca.pem"))
}

#[test]
fn a_control_plane_is_trusted_by_exactly_its_own_certificate() {
    let own = Identity::self_signed(&NAMES, Validity::Valid);
    let plane = plane(&Tls::new(&own));
    plane.publish(&[backend(0)]);
    for address in [api_url(&plane), grpcs_url(&plane)] {
        let launch = given(&own.certificate_pem, &address);
        let daemon = launch.start();
        daemon.wait_for_log(CONNECTED);
        daemon.wait_for_file(&file_v1(&[backend(0)]));
        assert_eq!(daemon.lines_with("WARN"), 0);

        let told = passed(&checked_with(&launch, &address));
        let line = "the certificate of 127.0.0.1 is issued by itself and valid until ";
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn the_file_may_hold_the_certificates_of_several_control_planes() {
    let own = [(), ()].map(|()| Identity::self_signed(&NAMES, Validity::Valid));
    let authority = Authority::new("the authority");
    let issued = authority.server(&NAMES, Validity::Valid);
    let pem = format!(
        "{}{}{}",
        own[0].certificate_pem,
        own[1].certificate_pem,
        authority.pem()
    );
    for identity in own.iter().chain([&issued]) {
        let plane = plane(&Tls::new(identity));
        given(&pem, &api_url(&plane)).start().wait_for_file(EMPTY);
    }
}

#[test]
fn an_own_certificate_is_verified_by_name_as_well() {
    if !localhost_is_known() {
        return;
    }
    let own = Identity::self_signed(&["localhost"], Validity::Valid);
    let plane = plane(&Tls::new(&own));
    let address = format!("https://localhost:{}", plane.api().address().port());
    let launch = given(&own.certificate_pem, &address);
    launch.start().wait_for_file(EMPTY);
}

#[test]
fn it_is_of_use_for_plaintext_mads_behind_an_https_api_server() {
    let own = Identity::self_signed(&NAMES, Validity::Valid);
    let plan = Plan {
        api_tls: Some(Tls::new(&own)),
        ..Plan::new(KumaVersion::V2_6)
    };
    let plane = plan.start().expect("free ports");
    let launch = given(&own.certificate_pem, &api_url(&plane));
    launch.start().wait_for_file(EMPTY);
}

/// The server's certificate, what is given as `--ca-cert-file`, and what is logged.
fn refusals() -> Vec<(&'static str, Identity, String, &'static str)> {
    let own = |names: &[&str], validity| Identity::self_signed(names, validity);
    let with_itself = |case, identity: Identity, text| {
        let pem = identity.certificate_pem.clone();
        (case, identity, pem, text)
    };
    let issued_by = |case, authority: &Authority, text| {
        let identity = authority.server(&NAMES, Validity::Valid);
        (case, identity, authority.pem(), text)
    };
    let issuer = "the server's certificate is of an unknown issuer; \
                  give the issuer's certificate as --ca-cert-file";
    vec![
        (
            "another of the same kind and names",
            own(&NAMES, Validity::Valid),
            own(&NAMES, Validity::Valid).certificate_pem,
            "the server shows an issuer's certificate (CA:TRUE) as its own, and it is not in \
             --ca-cert-file; put exactly this certificate there",
        ),
        with_itself(
            "another host's",
            own(&["other.invalid", "10.1.2.3"], Validity::Valid),
            "the server's certificate is for another name (other.invalid, 10.1.2.3, not 127.0.0.1)",
        ),
        with_itself(
            "one that has expired",
            own(&NAMES, Validity::Expired),
            "the server's certificate has expired (on 2001-01-01T00:00:00Z); renew it there",
        ),
        with_itself(
            "one that is not valid yet",
            own(&NAMES, Validity::NotYet),
            "the server's certificate is not valid yet (until 2998-01-01T00:00:00Z); \
             check both clocks",
        ),
        issued_by(
            "one issued by what is no authority",
            &Authority::that_is_none("none"),
            issuer,
        ),
        issued_by(
            "one issued by a key that may not sign certificates",
            &Authority::that_may_not_sign("not to sign"),
            issuer,
        ),
    ]
}

#[test]
fn anything_else_is_refused_in_plain_words() {
    for (case, identity, pem, expected) in refusals() {
        let plane = plane(&Tls::new(&identity));
        for address in [api_url(&plane), grpcs_url(&plane)] {
            let launch = given(&pem, &address);
            let daemon = launch.start();
            let line = daemon.wait_for_trouble();
            assert!(line.contains(expected), "{case}: {line}");
            assert_eq!(daemon.file(), None, "{case}");

            let told = failed(&checked_with(&launch, &address));
            assert!(told.contains(expected), "{case}: {told}");
        }
    }
}

#[test]
fn the_system_trust_store_says_the_same_of_it() {
    let own = Identity::self_signed(&NAMES, Validity::Valid);
    let plane = plane(&Tls::new(&own));
    let line = Launch::follow(&api_url(&plane)).start().wait_for_trouble();
    let expected =
        "(CA:TRUE) as its own, and it is not in --ca-cert-file; put exactly this certificate there";
    assert!(line.contains(expected), "{line}");
}
