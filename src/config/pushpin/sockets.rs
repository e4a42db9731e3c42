//! Reads the keys of ZeroMQ sockets and of stats.

use std::net::Ipv4Addr;
use std::path::Path;

use super::PushpinConf;
use crate::config::accounts::file_mode;
use crate::config::{Endpoint, MetricsPort, Stats, StatsFormat, ZeroMq};

impl PushpinConf {
    /// Reads the ZeroMQ sockets. Warns if other machines can reach one.
    pub(super) fn zeromq(&mut self, zeromq: &mut ZeroMq) {
        zeromq.pull = self.endpoints("handler/push_in_spec").pop();
        zeromq.sub = self.endpoints("handler/push_in_sub_specs");
        zeromq.sub.extend(self.endpoints("handler/push_in_sub_spec"));
        zeromq.sub_connect = self.flag("handler/push_in_sub_connect");
        zeromq.command = self.endpoints("handler/command_spec").pop();
        zeromq.ipc_mode = self.ipc_mode();
        if let Some(exposure) = zeromq.exposure() {
            self.warn("handler/push_in_spec", exposure);
        }
        zeromq.allow_remote = true;
    }

    /// Reads the stats socket and the port for Prometheus. Both are off unless the file names them.
    pub(super) fn stats(&mut self, stats: &mut Stats) {
        stats.socket = self.endpoints("handler/stats_spec").pop();
        stats.format = match self.text("handler/stats_format").as_deref() {
            Some("json") => StatsFormat::Json,
            _ => StatsFormat::Tnetstring,
        };
        if self.text("global/stats_connection_send").is_some() {
            stats.connections = self.flag("global/stats_connection_send");
        }
        self.set(&mut stats.connection_ttl_s, "global/stats_connection_ttl");
        self.set(&mut stats.subscription_ttl_s, "handler/stats_subscription_ttl");
        self.set(&mut stats.report_interval_s, "handler/stats_report_interval");
        self.block_bytes(stats);
        stats.prometheus_prefix = self.text("handler/prometheus_prefix").unwrap_or_default();
        let port = self.text("handler/prometheus_port").filter(|port| !port.is_empty());
        if let Some(port) = port {
            match MetricsPort::parse(&port, Ipv4Addr::UNSPECIFIED, Path::new("")) {
                Ok(port) => stats.prometheus = Some(port),
                Err(error) => self.error("handler/prometheus_port", format!("`prometheus_port`: {error}")),
            }
            if let Some(MetricsPort::File(file)) = &mut stats.prometheus {
                file.mode = file.mode.or(self.ipc_mode());
            }
        }
        if let Some(exposure) = stats.exposure(false) {
            self.warn("handler/stats_spec", exposure);
        }
    }

    /// Reads the block size. As in Pushpin, empty text, 0 and negative numbers turn blocks off.
    fn block_bytes(&mut self, stats: &mut Stats) {
        let name = "handler/message_block_size";
        if self.text(name).is_some_and(|size| !size.is_empty() && size != "0" && !size.starts_with('-')) {
            self.set(&mut stats.message_block_bytes, name);
        }
    }

    /// Reads ZeroMQ addresses and adds `port_offset` to their ports.
    fn endpoints(&mut self, name: &str) -> Vec<Endpoint> {
        let mut offset = 0u16;
        self.set(&mut offset, "global/port_offset");
        let (mut endpoints, texts) = (Vec::new(), self.list(name));
        if !cfg!(feature = "zeromq") && !texts.is_empty() {
            let key = name.rsplit('/').next().unwrap_or(name);
            self.warn(name, format!("`{key}` has no effect: this program was built without ZeroMQ"));
            return endpoints;
        }
        for text in texts {
            match Endpoint::parse(&text, Path::new("")).map(|endpoint| endpoint.offset(offset)) {
                Ok(Some(endpoint)) => endpoints.push(endpoint),
                Ok(None) => self.error(name, format!("`port_offset` raises the port of {text} above 65535")),
                Err(error) => self.error(name, error.to_string()),
            }
        }
        endpoints
    }

    /// Reads `ipc_file_mode`, which is in octal.
    fn ipc_mode(&mut self) -> Option<u32> {
        let name = "handler/ipc_file_mode";
        let text = self.text(name).filter(|text| !text.is_empty())?;
        let mode = file_mode(&text);
        if mode.is_none() {
            self.error(name, format!("`ipc_file_mode` must be a file mode, such as 660, not `{text}`"));
        }
        mode
    }
}
