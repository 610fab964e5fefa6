//! The filter of the page, with scripts and without.

use kuma_stand_in::Dataplane;

use super::browser::{Browser, Scripts};
use super::{serve, service};

const ALL: &str = "default <b>web</b> 1\ndefault backend 3\nshop Backoffice 2\nshop orders 1";
const BACK: &str = "default backend 3\nshop Backoffice 2";

fn dataplanes() -> Vec<Dataplane> {
    [
        service("default", "<b>web</b>", 1),
        service("default", "backend", 3),
        service("shop", "Backoffice", 2),
        service("shop", "orders", 1),
    ]
    .concat()
}

#[test]
fn rows_go_and_come_back_while_one_types() {
    let Some(browser) = Browser::start(Scripts::Run) else {
        return;
    };
    let served = serve(&dataplanes());
    browser.open(&served.url);
    assert_eq!(browser.text("#services"), ALL);
    assert_eq!(browser.text("#summary"), "7 targets of 4 services in 2 meshes.");

    browser.type_into("#filter", "bAck");
    assert_eq!(browser.text("#services"), BACK);
    assert_eq!(browser.text("#summary"), "2 of 4 rows on this page match.");
    browser.type_into("#filter", BACKSPACE.repeat(4).as_str());
    assert_eq!(browser.text("#services"), ALL);
    assert_eq!(browser.text("#summary"), "7 targets of 4 services in 2 meshes.");
    assert_eq!(browser.address(), served.url, "no page was loaded");

    // What the server has left out, it is asked for.
    browser.type_into("#filter", "orders");
    browser.click("form button");
    browser.wait_for_address(&format!("{}?filter=orders#targets", served.url));
    assert_eq!(browser.text("#services"), "shop orders 1");
    browser.type_into("#filter", BACKSPACE.repeat(6).as_str());
    assert_eq!(
        browser.text("#summary"),
        "1 of 1 rows on this page match. Press Enter to search the whole list."
    );
    browser.type_into("#filter", ENTER);
    browser.wait_for_address(&format!("{}?filter=#targets", served.url));
    assert_eq!(browser.text("#services"), ALL);
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn without_scripts_the_server_filters() {
    let Some(browser) = Browser::start(Scripts::AreOff) else {
        return;
    };
    let served = serve(&dataplanes());
    browser.open(&served.url);
    browser.type_into("#filter", "bAck");
    assert_eq!(browser.text("#services"), ALL, "no script has run");

    browser.click("form button");
    browser.wait_for_address(&format!("{}?filter=bAck#targets", served.url));
    assert_eq!(browser.text("#services"), BACK);
    assert_eq!(
        browser.text("#summary"),
        "5 targets match “bAck”, of 7 targets of 4 services in 2 meshes."
    );
    assert_eq!(browser.property("#filter", "value"), "bAck");

    browser.click("form a");
    browser.wait_for_address(&format!("{}#targets", served.url));
    assert_eq!(browser.text("#services"), ALL);
    assert_eq!(browser.console(), [""; 0]);
}

/// How WebDriver writes keys.
const BACKSPACE: &str = "\u{e003}";
const ENTER: &str = "\u{e007}";
