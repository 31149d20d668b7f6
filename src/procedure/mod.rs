//! Procedures: from YAML files to vetted plans. What comes out of here has nothing wrong left in it.

pub mod cases;
pub mod decode;
pub mod diagnostic;
pub mod document;
pub mod expect;
pub mod explain;
pub mod handbook;
pub mod inputs;
pub mod keys;
pub mod library;
pub mod lint;
pub mod schema;
pub mod site;
pub mod template;
pub mod yaml;
