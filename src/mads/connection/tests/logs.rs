//! What is logged, and what not again.

use super::*;

#[test]
fn a_reconnect_on_a_good_connection_is_logged_and_is_no_outage() {
    let mut story = connected();
    story.play(vec![
        (10.0, Event::Reconnect, &["close"]),
        (11.1, Event::Time, &["resolve"]),
        (11.1, found(), &["open gRPC v1 at cp:5676, version \"a\""]),
        (11.1, Event::Ready, &[]),
        (12.1, Event::Time, &[]),
    ]);
    story.assert_logged(&[
        "reconnecting, as asked by SIGHUP",
        "connected to MADS at cp:5676 over gRPC v1",
    ]);
}

#[test]
fn an_outage_is_logged_at_its_start_once_a_minute_and_at_its_end() {
    let mut story = connected();
    story.step(100.0, ended(EndKind::Outage));
    let mut seconds = 100.0;
    while seconds < 300.0 {
        seconds = story.wait();
        story.step(seconds, unresolved());
    }
    seconds = story.wait();
    story.step(seconds, found());
    story.step(seconds, good("b", "1"));
    let beginnings = [
        "no connection to the control plane: Outage; the file stays as it is",
        "no connection to the control plane: GET http://cp/config: status 503; 70 s without one; 7 more failures since",
        "no connection to the control plane: GET http://cp/config: status 503; 2 min without one; 1 more failure since",
        "no connection to the control plane: GET http://cp/config: status 503; 3 min without one; 1 more failure since",
        "connected to MADS at cp:5676 over gRPC v1, after 4 min without a connection",
    ];
    assert_eq!(story.logged.len(), beginnings.len(), "{:#?}", story.logged);
    for (line, beginning) in story.logged.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}");
    }
}

#[test]
fn rejections_that_are_over_are_not_counted_with_the_next_ones() {
    let mut story = connected();
    for number in 0..5 {
        story.step(10.0 + f64::from(number), bad("b", "2"));
    }
    story.step(20.0, good("c", "3"));
    story.logged.clear();
    story.step(1000.0, bad("d", "4"));
    assert_eq!(story.logged.len(), 1);
    assert!(!story.logged[0].contains("more rejection"), "{}", story.logged[0]);
}

#[test]
fn over_http_rejections_are_over_where_nothing_new_comes() {
    let mut story = opening_http();
    story.step(0.0, good("a", ""));
    story.step(1.0, bad("b", ""));
    story.logged.clear();
    story.step(5.0, Event::Unchanged);
    story.step(6.0, Event::Unchanged);
    story.assert_logged(&[
        "the control plane is back at the list that was accepted, so nothing is rejected any more",
    ]);
}

#[test]
fn where_mads_is_not_reached_the_kind_of_control_plane_is_logged() {
    let mut story = new_story(Pins::default());
    story.step(0.0, Event::Time);
    story.step(
        0.0,
        Event::Resolved(Ok(Endpoint {
            origin: Origin::Config,
            without_mads: Some("this is a global control plane"),
            ..endpoint()
        })),
    );
    story.step(0.0, ended(EndKind::Outage));
    story.assert_logged(&[
        "no connection to the control plane: Outage; this is a global control plane; the file stays \
         as it is, next attempt in 1.1 s",
    ]);
}

#[test]
fn a_guessed_or_less_safe_endpoint_is_logged_once_and_again_when_it_changes() {
    let tls = |origin| Endpoint { origin, ..at("grpcs://cp:5676") };
    let refused = tls(Origin::Guess(LocationUnknown::Refused(403)));
    let silent = tls(Origin::Guess(LocationUnknown::NoSection));
    let plaintext = Endpoint { origin: Origin::Config, ..endpoint() };
    let advice = "so MADS is taken to be at its usual port; give --cp-address=grpcs://cp:5676 \
                  instead";
    let refused_text = format!("the API server refuses /config with status 403, {advice}");
    let silent_text = format!("the API server's /config does not say where MADS is, {advice}");
    let plaintext_text = "the control plane serves MADS at cp:5676 in plaintext, although \
                          --cp-address is https; enable TLS for its monitoringAssignmentServer";
    for (endpoints, expected) in [
        ([&refused, &refused, &plaintext], [&*refused_text, plaintext_text]),
        ([&silent, &plaintext, &plaintext], [&*silent_text, plaintext_text]),
    ] {
        let mut story = found_by_way_of(Security::Tls, Pins::default());
        for endpoint in endpoints {
            let seconds = story.wait();
            story.step(seconds, Event::Resolved(Ok(endpoint.clone())));
            story.step(seconds, ended(EndKind::Outage));
        }
        story.logged.retain(|line| !line.starts_with("no connection"));
        story.assert_logged(&expected);
    }
}

/// A response with an assignment for each service, and these targets in each.
fn assignments(version: &str, services: &[&str], targets: &str) -> Event {
    let assignment = |service: &&str| {
        let json = format!(
            r#"{{"@type":"{}","mesh":"m","service":"{service}","targets":[{targets}]}}"#,
            ApiVersion::V1.type_url()
        );
        Resource::Json(json.into())
    };
    response(ApiVersion::V1, version, version, services.iter().map(assignment).collect())
}

#[test]
fn targets_without_a_service_are_warned_of_once() {
    let one = r#"{"name":"n","address":"a"}"#;
    let two = r#"{"name":"n","address":"a"},{"name":"n","address":"b"}"#;
    let mut story = connected();
    story.step(1.0, assignments("b", &["backend", "edge", "unknown"], one));
    story.step(2.0, assignments("c", &["unknown"], two));
    story.step(90.0, assignments("c", &["unknown"], two));
    story.assert_logged(&[
        "1 of 3 targets with the service `unknown`; label their Dataplanes with kuma.io/workload",
    ]);
    story.step(100.0, assignments("d", &["backend"], two));
    story.step(101.0, assignments("e", &["unknown"], two));
    story.assert_logged(&[
        "2 of 2 targets with the service `unknown`; label their Dataplanes with kuma.io/workload",
    ]);
}

#[test]
fn skipped_targets_are_logged_when_they_change() {
    let mut story = connected();
    let one = r#"{"name":"one"}"#;
    let two = r#"{"name":"two"}"#;
    for (seconds, version, target, logged) in
        [(1.0, "b", one, Some("one")), (2.0, "c", one, None), (70.0, "d", two, Some("two"))]
    {
        story.step(seconds, assignments(version, &["s"], target));
        let line = |name| {
            format!("skipped 1 target without an address: target {name:?} of assignment \"m/s\"")
        };
        let expected: Vec<String> = logged.map(line).into_iter().collect();
        assert_eq!(std::mem::take(&mut story.logged), expected);
    }
}
