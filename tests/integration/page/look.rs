//! How the page looks: light and dark, and on a phone. `make screenshots` renews those of `docs/` here.

use std::env;
use std::fs;

use kuma_stand_in::Dataplane;

use super::browser::{Browser, Scripts};
use super::{Served, serve, service};
use crate::support::command::repository;
use crate::support::harness::{SOON, wait_until};

/// Some meshes as people have them.
fn dataplanes() -> Vec<Dataplane> {
    [
        ("default", "frontend", 4),
        ("default", "ingress-gateway", 2),
        ("default", "redis", 3),
        ("payments", "card-processor", 6),
        ("payments", "fraud-detection", 4),
        ("payments", "ledger", 3),
        ("payments", "payments-postgres", 2),
        ("shop", "cart", 5),
        ("shop", "catalogue", 8),
        ("shop", "checkout", 6),
        ("shop", "image-resizer", 12),
        ("shop", "orders", 6),
        ("shop", "recommendations", 9),
        ("shop", "search", 10),
    ]
    .into_iter()
    .flat_map(|(mesh, name, count)| service(mesh, name, count))
    .collect()
}

/// A page after some events: a list, a change of it, and a connection that was lost and is back.
fn eventful() -> Served {
    let mut dataplanes = dataplanes();
    let served = serve(&dataplanes);
    dataplanes.truncate(dataplanes.len() - 2);
    served.control_plane.publish(&dataplanes);
    served.daemon.wait_for_log("2 removed");
    served.control_plane.fault_proxy().cut();
    served.daemon.wait_for_log_count("connected to MADS", 2);
    served
}

#[test]
fn it_is_light_or_dark_as_its_reader_prefers() {
    let Some(browser) = Browser::start(Scripts::Run) else {
        return;
    };
    let served = eventful();
    // What is logged reaches the listener a moment later.
    let is_told = || {
        browser.open(&served.url);
        browser.text("#events").contains("without a connection")
    };
    assert!(wait_until(SOON, is_told), "{}", browser.text("#events"));
    for (scheme, background) in
        [("light", "rgba(255, 255, 255, 1)"), ("dark", "rgba(13, 17, 23, 1)")]
    {
        browser.prefer_colours(scheme);
        assert_eq!(browser.style("body", "background-color"), background);
        browser.resize(1200, 0);
        let height = browser.property("html", "scrollHeight").as_u64().unwrap();
        browser.resize(1200, height);
        let picture = browser.screenshot();
        renew(&format!("page-{scheme}.png"), &picture);
    }
    assert_eq!(browser.console(), [""; 0]);
}

/// Puts a picture into `docs/` where that is asked for.
fn renew(name: &str, picture: &[u8]) {
    if env::var_os("RENEW_SCREENSHOTS").is_some_and(|value| !value.is_empty()) {
        let docs = repository().join("docs");
        fs::write(docs.join(name), picture).unwrap();
    }
}

#[test]
fn on_a_phone_nothing_is_cut_off() {
    let Some(browser) = Browser::start(Scripts::Run) else {
        return;
    };
    // Nothing in them says where a line may end.
    let (mesh, name) = ("mesh".repeat(15), "service".repeat(20));
    let served = serve(&service(&mesh, &name, 1));
    browser.open(&served.url);
    browser.resize(360, 740);
    let [page, window] = ["scrollWidth", "clientWidth"].map(|name| browser.property("html", name));
    assert_eq!(page, window, "the width of the page is that of the window");
}
