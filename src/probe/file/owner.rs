//! Names of users and groups, from the machine's own tables; a directory service is not asked.

use std::fs;

pub fn user(id: u32) -> String {
    name_in("/etc/passwd", id)
}

pub fn group(id: u32) -> String {
    name_in("/etc/group", id)
}

fn name_in(table: &str, id: u32) -> String {
    let table = fs::read_to_string(table).unwrap_or_default();
    name_of(&table, id).map_or_else(|| id.to_string(), str::to_owned)
}

/// Both tables have the name first and the number third.
fn name_of(table: &str, id: u32) -> Option<&str> {
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::name_of;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken line\nwww-data:x:33:33::/var/www:/bin/false\n";

    #[test]
    fn a_number_has_the_name_of_its_line() {
        assert_eq!(name_of(PASSWD, 0), Some("root"));
        assert_eq!(name_of(PASSWD, 33), Some("www-data"));
        assert_eq!(name_of(PASSWD, 3), None);
    }
}
