//! nginx with nchan: one worker, no stored messages, subscribers without a time limit.

use super::running::{Directory, Running, free_address};
use crate::process::{Process, installed};
use anyhow::Context;
use gripwire_loadgen::Target;
use std::path::Path;
use std::process::Command;

pub fn has_module() -> bool {
    Path::new(MODULES).join("ngx_nchan_module.so").exists()
}

pub fn start() -> anyhow::Result<Running> {
    let address = free_address()?;
    let directory = Directory::new("nchan", address.port())?;
    let path = directory.0.display();
    let conf = directory.0.join("nginx.conf");
    std::fs::write(
        &conf,
        format!(
            "load_module {MODULES}/ngx_nchan_module.so;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {path}/nginx.pid;
error_log /dev/null crit;
events {{ worker_connections 19000; multi_accept on; }}
http {{
  access_log off;
  client_body_temp_path {path}/body;
  proxy_temp_path {path}/proxy;
  fastcgi_temp_path {path}/fastcgi;
  uwsgi_temp_path {path}/uwsgi;
  scgi_temp_path {path}/scgi;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 1024M;
  server {{
    listen {address} backlog=65535;
    location ~ ^/sub/(.+)$ {{
      nchan_subscriber;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_subscriber_timeout 0;
    }}
    location ~ ^/pub/(.+)$ {{
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length 100;
      nchan_message_timeout 5s;
    }}
  }}
}}
"
        ),
    )?;
    let mut command = Command::new(installed("nginx").context("nginx is not installed")?);
    command.arg("-p").arg(&directory.0).arg("-c").arg(&conf).args(["-g", "daemon off;"]);
    let processes = vec![Process::start(&mut command)?.with_children()];
    let mut running = Running {
        target: Target::Nchan,
        clients: address,
        publish: address,
        udp: None,
        processes,
        _origin: None,
        _directory: Some(directory),
    };
    running.await_listening()?;
    Ok(running)
}

const MODULES: &str = "/usr/lib/nginx/modules";
