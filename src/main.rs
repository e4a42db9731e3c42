use gripwire::{config::Config, origin::Routes};
fn main() {
    let mut config = Config::default();
    config.cores = std::env::args().nth(1).and_then(|a| a.parse().ok());
    let routes = match std::env::args().nth(2) {
        Some(r) => Routes::parse(&r, "cli").0,
        None => Routes::demo(),
    };
    if let Err(e) = gripwire::server::serve(config, std::sync::Arc::new(routes)) {
        eprintln!("{e}");
        std::process::exit(1)
    }
}
