//! Files of `/proc`, which the kernel writes as they are read.

use std::fs::File;
use std::io::{self, Read};

/// As much as most of them hold. Their sizes cannot be asked for, and each reading of a part costs as much as one of all.
const MOSTLY: usize = 16 * 1024;

/// The whole file.
pub fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(MOSTLY);
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
