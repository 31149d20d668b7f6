//! What a pack says of itself: the defaults of its variables, and its policies of escalation.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{SHIPPED, read_source};
use crate::procedure::decode::Reader;
use crate::procedure::diagnostic::{Diagnostics, Source};
use crate::procedure::site::telling::{Policy, read_policies};
use crate::procedure::site::{self, ListedPack, PackRef, Site};
use crate::procedure::template::Vars;
use crate::procedure::{keys, yaml};

pub const PACK_FILE: &str = "pack.yaml";

#[derive(Default)]
pub struct Pack {
    pub vars: Vars,
    policies: IndexMap<String, Policy>,
}

impl Pack {
    pub fn read(source: &Arc<Source>) -> Result<Self, Diagnostics> {
        let node = yaml::parse(source).map_err(Diagnostics)?;
        let reader = Reader::new(Arc::clone(source));
        let mut pack = Self::default();
        if let Some(fields) = reader.fields(&node, "a pack", keys::PACK) {
            pack.vars = fields.get("vars").map(|node| site::vars(&reader, node)).unwrap_or_default();
            let policies = fields.get("escalation").map(|node| read_policies(&reader, node, None));
            pack.policies = policies.unwrap_or_default();
        }
        if reader.is_clean() { Ok(pack) } else { Err(reader.into_problems()) }
    }
}

/// The policies of the packs, the first pack before the others. A pack that cannot be read has none: opening the library
/// says why.
pub fn policies(site: &Site) -> impl Iterator<Item = (String, Policy)> {
    let source = |listed: &ListedPack| match &listed.pack {
        PackRef::Builtin(name) => {
            let file = format!("{name}/{PACK_FILE}");
            let (_, text) = SHIPPED.iter().find(|(path, _)| *path == file)?;
            Some(Arc::new(Source { name: file, text: (*text).to_owned() }))
        }
        PackRef::Folder(folder) => read_source(&folder.join(PACK_FILE)).ok(),
    };
    let packs = site.packs.iter().filter_map(source).filter_map(|source| Pack::read(&source).ok());
    packs.flat_map(|pack| pack.policies)
}
