//! The environment file that is installed for the service: every setting, commented out.

use std::fmt::Write as _;

use kuma_prometheus_sd::cli::flags::{FLAGS, GROUPS, OUTPUT_FILE};

/// The whole file.
pub(super) fn environment_file() -> String {
    let mut text = String::from(
        "# Settings of the kuma-prometheus-sd service, for systemd and runit: NAME=VALUE, without spaces\n\
         # around the =, and with single quotes around a value that has other characters than letters,\n\
         # digits and /:._- in it. Restart the service after a change.\n\
         #\n\
         # The lines that are commented out show the defaults; see kuma-prometheus-sd(1). To test settings,\n\
         # give them to `kuma-prometheus-sd check` as flags or environment variables; it writes nothing.\n",
    );
    for group in GROUPS {
        let _ = writeln!(text, "\n## {group}");
        for flag in FLAGS.iter().filter(|flag| flag.group == group) {
            let Some(variable) = flag.environment.first() else {
                continue;
            };
            let _ = writeln!(text, "\n# {}", flag.help);
            if !flag.details.is_empty() {
                let _ = writeln!(text, "# {}", flag.details.replace('`', ""));
            }
            if flag.value.contains('|') {
                let _ = writeln!(text, "# One of {}.", flag.value.replace('|', ", "));
            }
            let default = if flag.name == OUTPUT_FILE.name {
                text.push_str(
                    "# The service can write below its state directory only, unless its unit has\n\
                     # another ReadWritePaths=.\n",
                );
                "/var/lib/kuma-prometheus-sd/kuma.file_sd.json"
            } else {
                flag.default
            };
            let _ = writeln!(text, "#{variable}={default}");
        }
    }
    text.push_str(
        "\n## Proxies, for both transports; a loopback address is always reached directly\n\
         \n\
         #HTTP_PROXY=\n\
         #HTTPS_PROXY=\n\
         #NO_PROXY=\n",
    );
    text
}
