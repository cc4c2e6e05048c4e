//! What a scan through proxies may not do: anything that would go around them.

use super::{Config, ConfigError};
use crate::cli::{Discovery, NameLookup, Work};
use crate::privilege::Privileges;
use crate::technique::Technique;

impl Config {
    /// Has a run with `--proxies` keep to them: connects only, no pings, no names. What was asked for and would go around
    /// them is refused; what is merely usual is left out, and a line says so.
    pub(super) fn through_proxies(mut self) -> Result<Self, ConfigError> {
        if self.proxies.is_empty() {
            return Ok(self);
        }
        let around = |what: &str| Err(ConfigError::AroundProxies { what: what.to_owned() });
        if let Some(technique) = self.techniques.iter().find(|technique| technique.is_raw()) {
            return around(technique.option());
        }
        if self.raw.flags.is_some() {
            return around("--scanflags");
        }
        match (self.work, &self.discovery) {
            (Work::Discovery, _) => return around("-sn"),
            (_, Discovery::By(_)) => return around("host discovery (-P...)"),
            _ => {}
        }
        if self.name_lookup == NameLookup::Always {
            return around("-R");
        }
        if let Some(name) = self.targets.names().next() {
            return around(&format!("looking up \"{name}\""));
        }
        if self.discovery != Discovery::Skip || self.name_lookup != NameLookup::Never {
            let why = "both would go around the proxies";
            self.warnings
                .push(format!("Note: with --proxies all targets count as up and have no names: {why}"));
        }
        self.techniques = vec![Technique::Connect];
        self.discovery = Discovery::Skip;
        self.name_lookup = NameLookup::Never;
        self.privileges = Privileges::Renounce;
        Ok(self)
    }
}
