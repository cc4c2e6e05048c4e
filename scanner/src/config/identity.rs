//! The options that decide what the results of a run are: a run with others is another scan, which cannot go on with it.
//!
//! The pace, the reports and the servers asked for names are no part of them: a scan may go on slower, or be written to
//! other files.

use crate::config::Config;
use crate::technique::Technique;

impl Config {
    /// Name and value of each, where these techniques are used.
    #[must_use]
    pub fn identity(
        &self,
        techniques: &[Technique],
        methods: &[crate::plan::Method],
    ) -> Vec<(String, String)> {
        let words: Vec<&str> = techniques.iter().map(|technique| technique.option()).collect();
        let rows = [
            ("targets", format!("{:016x}", self.targets_fingerprint)),
            ("-4, -6", format!("{:?}", self.families)),
            ("--resolve-all", format!("{:?}", self.addresses)),
            ("ports (-p)", self.ports.to_string()),
            ("scans (-s)", words.join(" ")),
            ("work (-sn, -sL)", format!("{:?}", self.work)),
            ("discovery (-P)", format!("{methods:?}")),
            ("--disable-arp-ping", (!self.neighbors).to_string()),
            ("--discovery-ignore-rst", format!("{:?}", self.resets)),
            ("-S", self.source.map(|source| source.to_string()).unwrap_or_default()),
            ("-e", self.interface.clone().unwrap_or_default()),
            ("packets (-g, --ttl, --data, ...)", format!("{:?}", self.raw)),
            ("--proxies", self.proxies.to_string()),
            ("--randomize-hosts", self.randomize_hosts.to_string()),
            ("--shard", self.shard.to_string()),
        ];
        rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The names of the options that two runs have different values of.
#[must_use]
pub fn changed(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| before.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let differs = now.iter().filter(|(name, new)| value(name) != Some(new));
    differs.map(|(name, _)| name.clone()).collect()
}
