//! A browser without a window, driven by the WebDriver protocol: JSON over HTTP to Chromium's driver.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::support::harness::{SOON, wait_until};
use crate::support::not_tried::not_tried;
use crate::support::streams::Collected;

/// Nothing but the page is fetched, and nothing is left behind. Edges of letters are grey in a picture, as
/// nobody knows the screen that it is for.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-lcd-text",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
];

/// How the W3C's protocol names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Whether the browser runs scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    Run,
    AreOff,
}

/// A running browser with one page. Dropping it ends it.
pub(crate) struct Browser {
    agent: Agent,
    driver: Child,
    /// The driver's address, and with a session the session's.
    url: String,
    profile: TempDir,
}

impl Browser {
    /// Starts it; `None` where this machine has none, which is said.
    pub(crate) fn start(scripts: Scripts) -> Option<Self> {
        let profile = TempDir::new().expect("a temporary folder can be made");
        let (driver, url) = match start_driver(profile.path()) {
            Ok(driver) => driver,
            Err(error) => {
                not_tried(format_args!("chromedriver: {error}"));
                return None;
            }
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(SOON));
        let mut browser = Self { agent: config.build().into(), driver, url, profile };
        browser.open_session(scripts);
        Some(browser)
    }

    fn open_session(&mut self, scripts: Scripts) {
        let profile = self.profile.path().join("profile");
        let mut flags: Vec<String> = FLAGS.map(str::to_owned).into();
        flags.push(format!("--user-data-dir={}", profile.display()));
        let blocked = 2;
        let preferences = match scripts {
            Scripts::Run => json!({}),
            Scripts::AreOff => {
                json!({"profile.managed_default_content_settings.javascript": blocked})
            }
        };
        let session = self.post(
            "/session",
            &json!({"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": {"args": flags, "prefs": preferences},
                "goog:loggingPrefs": {"browser": "ALL"},
                // An element of a page that is still being opened is waited for.
                "timeouts": {"implicit": 10_000},
            }}}),
        );
        let id = session["sessionId"].as_str().expect("a session has an id");
        self.url = format!("{}/session/{id}", self.url);
    }

    /// Opens a page, and waits until all of it is there.
    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// The address of the page.
    pub(crate) fn address(&self) -> String {
        text(&self.get("/url"))
    }

    /// Waits until a key or a click has opened the page at an address.
    #[track_caller]
    pub(crate) fn wait_for_address(&self, expected: &str) {
        let is_there = || self.address() == expected;
        assert!(wait_until(SOON, is_there), "still at {}", self.address());
    }

    /// The rendered text of an element, without what is hidden.
    pub(crate) fn text(&self, selector: &str) -> String {
        text(&self.get(&format!("{}/text", self.element(selector))))
    }

    /// A property of an element's.
    pub(crate) fn property(&self, selector: &str, name: &str) -> Value {
        self.get(&format!("{}/property/{name}", self.element(selector)))
    }

    /// The value that an element's style has in the end.
    pub(crate) fn style(&self, selector: &str, name: &str) -> String {
        text(&self.get(&format!("{}/css/{name}", self.element(selector))))
    }

    /// Types into an element.
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let path = format!("{}/value", self.element(selector));
        self.post(&path, &json!({"text": text}));
    }

    /// Clicks an element.
    pub(crate) fn click(&self, selector: &str) {
        self.post(&format!("{}/click", self.element(selector)), &json!({}));
    }

    /// What has been written to the console since the last look, by the browser too: of what it could
    /// not load, and of what the page's policy forbids.
    pub(crate) fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().expect("a list of entries").iter();
        entries.map(|entry| text(&entry["message"])).collect()
    }

    /// Says which colours the reader prefers: `light` or `dark`.
    pub(crate) fn prefer_colours(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.develop("Emulation.setEmulatedMedia", &json!({"features": [feature]}));
    }

    /// Gives the page a window of this size.
    pub(crate) fn resize(&self, width: u64, height: u64) {
        self.develop(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
    }

    /// The page as a PNG.
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        let taken = self.develop("Page.captureScreenshot", &json!({"format": "png"}));
        let data = text(&taken["data"]);
        BASE64_STANDARD.decode(data).expect("base64")
    }

    /// A command of Chromium's developer tools.
    fn develop(&self, command: &str, parameters: &Value) -> Value {
        let command = json!({"cmd": command, "params": parameters});
        self.post("/goog/cdp/execute", &command)
    }

    fn element(&self, selector: &str) -> String {
        let query = json!({"using": "css selector", "value": selector});
        let found = self.post("/element", &query);
        format!("/element/{}", text(&found[ELEMENT]))
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        value(path, self.agent.get(format!("{}{path}", self.url)).call())
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Content-Type", "application/json");
        value(path, request.send(body.to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with the session; where it cannot, nothing more can be done.
        let _ = self.agent.delete(&self.url).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts the driver, and returns where it listens.
fn start_driver(home: &Path) -> io::Result<(Child, String)> {
    let announcement = "started successfully on port ";
    // It listens on two addresses, at the port that it was given for the first; it ends where somebody
    // else has that of the second.
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = Collected::from(driver.stdout.take().expect("it is piped"));
        if let Some(line) = output.wait_for(SOON, |line| line.contains(announcement), 1) {
            let (_, port) = line.split_once(announcement).expect("it is in the line");
            let port = port.trim_end_matches('.');
            return Ok((driver, format!("http://127.0.0.1:{port}")));
        }
        driver.kill()?;
        driver.wait()?;
    }
    panic!("chromedriver finds no port");
}

/// What the driver answers with.
#[track_caller]
fn value(path: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
    let mut response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
    let body = response.body_mut().read_to_string();
    let body = body.unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut answer: Value = serde_json::from_str(&body).expect("the driver answers with JSON");
    assert!(response.status().is_success(), "{path}: {answer:#}");
    answer["value"].take()
}

fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
