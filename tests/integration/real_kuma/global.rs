//! A global control plane serves no MADS in any version that can be tried here, and says in
//! `/config` what it is.

use std::net::{Ipv4Addr, TcpStream};

use crate::real_kuma::control_plane::{ControlPlane, Ports};
use crate::real_kuma::table::Table;
use crate::real_kuma::version::{Folder, Version};
use crate::support::harness::Launch;

#[test]
fn a_global_control_plane_says_so_and_serves_no_mads() {
    let Some(folder) = Folder::open("a_global_control_plane_says_so_and_serves_no_mads") else {
        return;
    };
    let mut table = Table::default();
    for version in folder.versions() {
        let ports = Ports::free();
        let plane = ControlPlane::start_global(&folder, version, ports);
        let config = plane.get("/config").unwrap();
        let what = |of: &str| format!("{version} | global: {of}");
        let said = (&config["mode"], &config["environment"]);
        table.row(
            &what("/config"),
            match said == (&"global".into(), &"universal".into()) {
                true => Ok("mode global, environment universal".to_owned()),
                false => Err(format!("{said:?}")),
            },
        );
        // It still names the port of MADS.
        let mads = &config["monitoringAssignmentServer"];
        let named = [&mads["port"], &mads["grpcPort"]];
        table.row(
            &what("its port of MADS"),
            match named.contains(&&ports.mads.into()) {
                true => Ok("named".to_owned()),
                false => Err(format!("{mads}")),
            },
        );
        table.row(
            &what("MADS"),
            match TcpStream::connect((Ipv4Addr::LOCALHOST, ports.mads)) {
                Err(error) => Ok(format!("not served: {error}")),
                Ok(_) => Err("served".to_owned()),
            },
        );
        let check = Launch::bare()
            .argument("check")
            .argument(format!("--cp-address=http://127.0.0.1:{}", ports.api))
            .run_to_its_end();
        let diagnosis = "this is a global control plane";
        let line = check.stdout.lines().find(|line| line.contains(diagnosis));
        table.row(
            &what("check"),
            match (check.code, line) {
                (Some(1), Some(line)) => Ok(format!("refused: {line}")),
                // Its /catalog leads to MADS, so /config is not asked.
                (Some(1), None) if version < Version(1, 0) => Ok("refused".to_owned()),
                _ => Err(check.stdout),
            },
        );
    }
    table.judge();
}
