use crate::support::{mariadb, postgres};

#[test]
fn servers() {
    assert_eq!(mariadb::query("SELECT 1, 2"), ["1\t2"]);
    assert_eq!(postgres::query("postgres", "SELECT 1, 2"), ["1\t2"]);
    println!("{} {}", mariadb::url("a"), postgres::url("a"));
}
