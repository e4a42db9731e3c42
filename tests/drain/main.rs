//! The orderly end of a server: what each client and each application sees (`table`), which signals and calls begin it and
//! how long it takes (`beginning`), and that nobody is forgotten among many (`crowd`).

mod beginning;
mod crowd;
mod stage;
mod table;
