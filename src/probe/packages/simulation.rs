//! What apt-get says it would do.

/// One line of a simulation that says something about a package.
#[derive(PartialEq, Eq, Debug)]
pub enum Line<'t> {
    Install {
        name: &'t str,
        /// The version that is installed; none for a new package.
        from: Option<&'t str>,
        to: &'t str,
        /// Where it comes from: `Debian:12.11/stable, Debian-Security:12/stable-security`.
        origin: &'t str,
    },
    Remove {
        name: &'t str,
        version: &'t str,
    },
}

/// Reads lines such as `Inst nginx [1.22] (1.24 Debian:12/stable [amd64])` and `Remv rsync [3.2]`; every other line is
/// for people.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        if let Some((name, from, rest)) = line.strip_prefix("Inst ").map(parts) {
            let (to, rest) = rest.strip_prefix('(')?.split_once([' ', ')'])?;
            let origin = rest.split_once([')', '[']).map_or(rest, |(origin, _)| origin).trim();
            return Some(Line::Install { name, from, to, origin });
        }
        let (name, version, _) = line.strip_prefix("Remv ").or_else(|| line.strip_prefix("Purg ")).map(parts)?;
        Some(Line::Remove { name, version: version.unwrap_or_default() })
    })
}

/// The name, the version in square brackets if there is one, and the rest.
fn parts(line: &str) -> (&str, Option<&str>, &str) {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let version = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    version.map_or((name, None, rest), |(version, rest)| (name, Some(version), rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_simulation_are_read() {
        let text = "NOTE: This is only a simulation!\nReading package lists...\nRemv exim4 [4.96-15]\n\
                    Inst libssl3:i386 [3.0.15] (3.0.17 Debian:12.11/stable, Debian-Security:12/stable-security [i386]) []\n\
                    Inst web (2:1.0-1 repo:12 [all])\nConf web (2:1.0-1 repo:12 [all])\nInst bare [1] (2 [all])\n";
        let origin = "Debian:12.11/stable, Debian-Security:12/stable-security";
        let seen: Vec<Line> = lines(text).collect();
        let install = |name, from, to, origin| Line::Install { name, from, to, origin };
        let expected = [
            Line::Remove { name: "exim4", version: "4.96-15" },
            install("libssl3:i386", Some("3.0.15"), "3.0.17", origin),
            install("web", None, "2:1.0-1", "repo:12"),
            install("bare", Some("1"), "2", ""),
        ];
        assert_eq!(seen, expected);
    }
}
