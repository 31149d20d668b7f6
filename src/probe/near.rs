//! Names that somebody may have meant.

/// The names that are most like `name`, at most three.
pub fn near<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let likeness = |other: &str| {
        let part = name.len() >= 3 && (other.contains(name) || (other.len() >= 3 && name.contains(other)));
        strsim::jaro_winkler(name, other).max(if part { 0.9 } else { 0.0 })
    };
    let all = names.into_iter().map(|other| (likeness(other), other));
    let mut known: Vec<(f64, &str)> = all.filter(|(likeness, _)| *likeness >= 0.85).collect();
    known.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.len().cmp(&other.1.len())));
    known.into_iter().map(|(_, name)| name).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_by_their_parts_and_by_their_letters() {
        let names = ["apache2", "postgresql", "postgresql@", "ssh", "cron"];
        assert_eq!(near("apache", names), ["apache2"]);
        assert_eq!(near("postgres", names), ["postgresql", "postgresql@"]);
        assert_eq!(near("corn", names), ["cron"]);
        assert_eq!(near("redis-server", names), Vec::<&str>::new());
    }
}
