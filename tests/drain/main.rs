//! The orderly end of a server: what each client and each application sees (`table`), which signals and calls begin it and
//! how long it takes (`beginning`), that nobody is forgotten among many (`crowd`), and that clients whom a new process does not
//! take over are drained too (`replaced`).

mod beginning;
mod crowd;
mod replaced;
mod stage;
mod table;
