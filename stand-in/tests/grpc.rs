//! The gRPC streams, as Kuma has them.

mod support;

use kuma_stand_in::proto::discovery::DiscoveryRequest;
use kuma_stand_in::proto::mads_v1::MonitoringAssignment;
use kuma_stand_in::proto::mads_v1alpha1::MonitoringAssignment as MonitoringAssignmentV1Alpha1;
use kuma_stand_in::{Answers, ApiVersion, ControlPlane, Dataplane, Event, KumaVersion, Resource};
use protobuf::Message;
use support::{QUIET, SOON, Stream};

fn backend() -> Dataplane {
    Dataplane::new("backend", "backend-01", "192.168.0.1:5670").tag("env", "prod")
}

#[test]
fn a_stream_gets_the_snapshot_then_silence_then_the_next() {
    for api_version in ApiVersion::ALL {
        let plane = ControlPlane::start(KumaVersion::V1_2);
        let mut stream = Stream::open(plane.port(), api_version);
        stream.request("", "", None);
        let empty = stream.response();
        assert_eq!(empty.nonce, "1");
        assert_eq!(empty.type_url, api_version.type_url());
        assert_eq!(Some(&empty.version_info), plane.version(api_version).as_ref());
        assert!(empty.resources.is_empty());
        let opened = plane.events().expect_stream_opened(SOON);
        assert_eq!(opened.1, api_version);
        let first = plane.events().expect_request(SOON);
        assert_eq!((first.version_info.as_str(), first.nonce.as_str()), ("", ""));
        assert_eq!(first.node_id, "test");

        stream.request(&empty.version_info, &empty.nonce, None);
        assert_eq!(plane.events().expect_ack(SOON).nonce, "1");
        plane.publish(&[backend(), backend(), backend()]);
        let next = stream.response();
        assert_eq!((next.nonce.as_str(), next.resources.len()), ("2", 3));
        assert_ne!(next.version_info, empty.version_info);

        drop(stream);
        assert_eq!(plane.events().expect_stream_closed(SOON), opened.0);
    }
}

#[test]
fn a_nack_brings_the_same_again() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request("", "", None);
    let first = stream.response();
    stream.request("", &first.nonce, Some("no"));
    let again = stream.response();
    assert_eq!(again.version_info, first.version_info);
    assert_eq!(again.nonce, "2");
    plane.events().expect_request(SOON);
    let (nack, error) = plane.events().expect_nack(SOON);
    assert_eq!((nack.nonce.as_str(), error.message.as_str()), ("1", "no"));
}

#[test]
fn a_resumed_stream_stays_silent_until_there_is_news() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let version = plane.version(ApiVersion::V1).unwrap();
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request(&version, "", None);
    plane.events().expect_request(SOON);
    let answered =
        plane.events().take(QUIET, |event| matches!(event, Event::Answered { .. }).then_some(()));
    assert_eq!(answered, None);
    plane.publish(&[backend()]);
    assert_eq!(stream.response().resources.len(), 1);
}

#[test]
fn without_a_snapshot_the_first_answer_is_missing() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.withdraw();
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request("", "", None);
    plane.events().expect_request(SOON);
    plane.publish(&[backend()]);
    assert_eq!(stream.response().nonce, "1");
}

#[test]
fn assignments_are_those_of_kuma() {
    let plane = ControlPlane::serving(KumaVersion::V1_2, &[backend()]);

    let mut v1 = Stream::open(plane.port(), ApiVersion::V1);
    v1.request("", "", None);
    let any = v1.response().resources.remove(0);
    assert_eq!(any.type_url, ApiVersion::V1.type_url());
    let assignment = MonitoringAssignment::parse_from_bytes(&any.value).unwrap();
    assert_eq!((assignment.mesh.as_str(), assignment.service.as_str()), ("default", "backend"));
    let target = &assignment.targets[0];
    assert_eq!(target.address, "192.168.0.1:5670");
    let mut labels: Vec<_> = target.labels.iter().collect();
    labels.sort();
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        labels.join(" "),
        "env=prod envs=,prod, kuma_io_service=backend kuma_io_services=,backend,"
    );

    let mut v1alpha1 = Stream::open(plane.port(), ApiVersion::V1Alpha1);
    v1alpha1.request("", "", None);
    let any = v1alpha1.response().resources.remove(0);
    let assignment = MonitoringAssignmentV1Alpha1::parse_from_bytes(&any.value).unwrap();
    assert_eq!(assignment.name, "/meshes/default/dataplanes/backend-01");
    assert_eq!(assignment.targets[0].labels["__address__"], "192.168.0.1:5670");
    let mut labels: Vec<_> = assignment.labels.keys().map(String::as_str).collect();
    labels.sort_unstable();
    assert_eq!(
        labels.join(" "),
        "__metrics_path__ __scheme__ dataplane env envs instance job \
         kuma_io_service kuma_io_services mesh"
    );
}

#[test]
fn a_generation_that_is_not_served_is_an_unknown_service() {
    for (kuma, api_version) in
        [(KumaVersion::V0_7, ApiVersion::V1), (KumaVersion::V2_6, ApiVersion::V1Alpha1)]
    {
        let plane = ControlPlane::start(kuma);
        let mut stream = Stream::open(plane.port(), api_version);
        stream.request("", "", None);
        let status = stream.end();
        assert_eq!(i32::from(status.code()), 12);
        assert_eq!(status.message(), format!("unknown service {}", api_version.service()));
    }
}

#[test]
fn grpc_on_a_port_that_serves_http_only_is_unavailable() {
    let plane = ControlPlane::start(KumaVersion::V2_12);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request("", "", None);
    let status = stream.end();
    assert_eq!(i32::from(status.code()), 14);
    let message = status.message();
    assert!(message.contains("http1.x server"), "{message}");
}

#[test]
fn a_test_can_answer_in_the_control_planes_place() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.set_answers(Answers::Scripted);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request("", "", None);
    plane.events().expect_request(SOON);
    let resources = vec![Resource::undecodable(ApiVersion::V1)];
    assert_eq!(plane.respond("v9", "n9", "some/type", resources), 1);
    let response = stream.response();
    assert_eq!(response.version_info, "v9");
    assert_eq!(response.nonce, "n9");
    assert_eq!(response.type_url, "some/type");
    assert!(MonitoringAssignment::parse_from_bytes(&response.resources[0].value).is_err());
    assert_eq!(plane.send_bytes(b"\xff\xff"), 1);
    assert_eq!(stream.bytes(), b"\xff\xff");
    assert_eq!(plane.close_streams(13, "broken"), 1);
    let status = stream.end();
    assert_eq!((i32::from(status.code()), status.message()), (13, "broken"));
    plane.events().expect_stream_closed(SOON);
}

#[test]
fn streams_can_be_ended_after_each_answer() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    plane.set_answers(Answers::ThenClose(0));
    for _ in 0..3 {
        let mut stream = Stream::open(plane.port(), ApiVersion::V1);
        stream.request("", "", None);
        assert_eq!(stream.response().nonce, "1");
        assert_eq!(i32::from(stream.end().code()), 0);
    }
}

#[test]
fn a_request_without_a_node_is_refused() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.send(&DiscoveryRequest::new());
    let status = stream.end();
    assert_eq!(status.message(), "the first request has no node.id");
}

#[test]
fn a_thousand_pushes_a_second_and_a_snapshot_of_20_mib() {
    let plane = ControlPlane::start(KumaVersion::V2_6);
    let mut stream = Stream::open(plane.port(), ApiVersion::V1);
    stream.request("", "", None);
    let mut response = stream.response();
    for _ in 0..1000 {
        stream.request(&response.version_info, &response.nonce, None);
        plane.publish(&[backend()]);
        response = stream.response();
    }
    stream.request(&response.version_info, &response.nonce, None);
    let name = "a-quite-long-name-of-a-dataplane".repeat(16);
    let many: Vec<Dataplane> = (0..40_000)
        .map(|number| Dataplane::new("many", &format!("{name}-{number}"), "10.0.0.1:5670"))
        .collect();
    plane.publish(&many);
    assert!(stream.bytes().len() > 20 << 20);
}
