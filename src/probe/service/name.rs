//! Names of units: written in short, checked, and what somebody may have meant.

use crate::model::input::InputError;

/// The types of units, as names end.
const TYPES: &[&str] =
    &["service", "socket", "timer", "target", "mount", "automount", "swap", "path", "slice", "scope", "device"];

/// systemd takes no longer one.
const LONGEST: usize = 255;

/// How many names are suggested.
const SUGGESTED: usize = 3;

/// The name with its type: `apache2` is `apache2.service`, as for `systemctl`.
pub fn full(input: &'static str, name: &str) -> Result<String, InputError> {
    let has_type = name.rsplit_once('.').is_some_and(|(stem, ty)| !stem.is_empty() && TYPES.contains(&ty));
    let full = if has_type { name.to_owned() } else { format!("{name}.service") };
    let wrong = |what: &str, help: &str| InputError::new(input, format!("`{name}` is {what}"), help);
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(fits) || full.len() > LONGEST {
        return Err(wrong("not the name of a unit", "write one such as `apache2`; `systemctl list-units` shows them"));
    }
    if full.contains("@.") {
        let help = format!("name an instance of it, such as `{}`", name.replacen('@', "@1", 1));
        return Err(wrong("a template, of which nothing runs", &help));
    }
    Ok(full)
}

/// The type of a unit with this full name.
pub fn unit_type(full: &str) -> &str {
    full.rsplit_once('.').map_or("", |(_, ty)| ty)
}

/// Says that there is no unit `full`, and which of the `known` ones have names like it.
pub fn not_found(full: &str, known: &[String]) -> String {
    let near = nearest(full, known);
    let advice = if near.is_empty() {
        "`systemctl list-unit-files` shows those that are here".to_owned()
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    format!("there is no unit {full} on this machine; {advice}")
}

fn nearest<'k>(full: &str, known: &'k [String]) -> Vec<&'k str> {
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase();
    let wanted = stem(full);
    let mut near: Vec<(usize, &str)> = known
        .iter()
        .filter_map(|candidate| {
            let stem = stem(candidate);
            let is_part = wanted.len() >= 4 && stem.len() >= 4 && (stem.contains(&wanted) || wanted.contains(&stem));
            let distance = strsim::damerau_levenshtein(&wanted, &stem);
            let distance = if is_part { distance.min(2) } else { distance };
            (distance <= wanted.len().max(stem.len()) / 3).then_some((distance, candidate.as_str()))
        })
        .collect();
    near.sort_by_key(|(distance, name)| (unit_type(name) != unit_type(full), *distance, *name));
    near.dedup();
    near.into_iter().map(|(_, name)| name).take(SUGGESTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_type_is_that_of_a_service() {
        for (written, unit) in [
            ("apache2", "apache2.service"),
            ("php8.2-fpm", "php8.2-fpm.service"),
            ("backup.timer", "backup.timer"),
            ("getty@tty1", "getty@tty1.service"),
            (r"srv-my\x2ddisk.mount", r"srv-my\x2ddisk.mount"),
        ] {
            assert_eq!(full("name", written).as_deref(), Ok(unit));
        }
    }

    #[test]
    fn what_systemctl_would_take_for_something_else_is_refused() {
        for written in ["", "--help", "apache*", "/dev/sda", "a b", "getty@", "getty@.service", "a\nb"] {
            assert!(full("name", written).is_err(), "{written}");
        }
    }

    #[test]
    fn the_nearest_names_of_the_same_type_come_first() {
        let known =
            ["apache2.service", "apache2.timer", "cron.service", "postgresql@15-main.service"].map(str::to_owned);
        assert_eq!(nearest("apach2.service", &known), ["apache2.service", "apache2.timer"]);
        assert_eq!(nearest("postgresql.service", &known), ["postgresql@15-main.service"]);
        assert_eq!(nearest("zabbix.service", &known), [""; 0]);
    }
}
