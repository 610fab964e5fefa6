//! The environment file that is installed for the service: every setting, commented out.

use std::fmt::Write as _;

use super::{FLAGS, GROUPS, OUTPUT_FILE};

/// The whole file.
#[must_use]
pub fn environment_file() -> String {
    let mut text = String::from(
        "# Settings of the kuma-prometheus-sd service, for systemd and runit alike: NAME=VALUE, no\n\
         # spaces around the =, single quotes around a value with more than letters, digits and /:._- in it.\n\
         # After a change, restart the service.\n\
         #\n\
         # What is commented out shows the default; kuma-prometheus-sd(1) explains it. Given as flags or in\n\
         # its environment, `kuma-prometheus-sd check` tries settings without touching anything.\n",
    );
    for group in GROUPS {
        let _ = writeln!(text, "\n## {group}");
        for flag in FLAGS.iter().filter(|flag| flag.group == group) {
            let _ = writeln!(text, "\n# {}", flag.help);
            if !flag.details.is_empty() {
                let _ = writeln!(text, "# {}", flag.details.replace('`', ""));
            }
            if flag.value.contains('|') {
                let _ = writeln!(text, "# One of {}.", flag.value.replace('|', ", "));
            }
            let default = if flag.name == OUTPUT_FILE.name {
                text.push_str(
                    "# The service may write below its own state directory only, unless told\n\
                     # otherwise: see its unit.\n",
                );
                "/var/lib/kuma-prometheus-sd/kuma.file_sd.json"
            } else {
                flag.default
            };
            let _ = writeln!(text, "#{}={default}", flag.environment[0]);
        }
    }
    text.push_str(
        "\n## Proxies, for both transports; a loopback address is never reached through one\n\
         \n\
         #HTTP_PROXY=\n\
         #HTTPS_PROXY=\n\
         #NO_PROXY=\n",
    );
    text
}
