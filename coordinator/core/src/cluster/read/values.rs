//! Small values of a cluster file: addresses, references to secrets, references to names.

use crate::{
    cluster::SecretRef,
    document::{Item, bad_name, closest, looks_secret},
    fault::{Fault, FaultCode},
    ids::MemberName,
};
use std::{net::Ipv6Addr, ops::Range};

/// A member's name at the place where it is referred to.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) name: MemberName,
    pub(super) span: Range<usize>,
}

/// Host and port of `host:port` or `[v6]:port`.
pub(super) fn split_address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let good = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => is_host(host),
    };
    good.then_some((host, port))
}

/// A host name or IPv4 address.
pub(super) fn is_host(host: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    // What is made of digits only must be a whole IPv4 address: `10.77.0` is nobody's name.
    let numbers = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    host.len() <= 253
        && host.split('.').all(label)
        && (!numbers || host.parse::<core::net::Ipv4Addr>().is_ok())
}

/// `host:port`.
pub(super) fn address(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    if split_address(text).is_some() {
        return Some(text.to_owned());
    }
    item.fault(
        Fault::new(FaultCode::BadAddress, format!("{:?} is not an address", item.path()))
            .found(format!("{text:?}"))
            .allowed("HOST:PORT, such as \"10.77.0.11:7440\", \"n1.example:7440\" or \"[fd00::11]:7440\"")
            .help("give host and port"),
    );
    None
}

/// A list of names of members or witnesses; whether they exist is checked later.
pub(super) fn references(item: &Item<'_>) -> Vec<Reference> {
    item.list().unwrap_or_default().iter().filter_map(reference).collect()
}

/// A name of a member or witness.
pub(super) fn reference(item: &Item<'_>) -> Option<Reference> {
    let text = item.text()?;
    match MemberName::new(text) {
        Ok(name) => Some(Reference { name, span: item.span() }),
        Err(error) => {
            item.fault(bad_name(text, &error));
            None
        }
    }
}

/// The fault of a name that is not in the file.
pub(super) fn unknown(kind: &str, found: &str, known: &[&str]) -> Fault {
    let mut fault = Fault::new(FaultCode::UnknownReference, format!("there is no {kind} {found:?}"));
    if let Some(word) = closest(found, known.iter().copied()) {
        fault.message.push_str(&format!("; did you mean {word:?}?"));
    }
    fault.allowed(known.join(", ")).help("name one of them, or add it to the file")
}

/// Forms a reference to a secret may have.
const SECRET_FORMS: [&str; 4] = ["file:", "env:", "systemd-credential:", "cmd:"];

/// A reference to a secret. A value is refused and never shown.
pub(super) fn secret(item: &Item<'_>) -> Option<SecretRef> {
    let Some(text) = item.value().as_str() else {
        item.hide();
        return item.wrong_type("a reference to a secret, such as \"file:/etc/lockkeeper/secrets/pg\"");
    };
    let allowed = "file:PATH, env:NAME, systemd-credential:NAME, cmd:PROGRAM ARGUMENTS";
    let form = SECRET_FORMS.iter().find_map(|form| text.strip_prefix(form));
    let fault = match form {
        Some(rest) if rest.trim().is_empty() => {
            Fault::new(FaultCode::BadSecretRef, format!("{:?} refers to nothing", item.path()))
        }
        Some(_) if text.strip_prefix("file:").is_some_and(|path| !path.starts_with('/')) => {
            Fault::new(FaultCode::BadSecretRef, format!("{:?} needs an absolute path", item.path()))
        }
        Some(_) => return Some(SecretRef(text.to_owned())),
        None => {
            item.hide();
            Fault::new(
                FaultCode::SecretValue,
                format!("{:?} holds a secret instead of a reference to one", item.path()),
            )
            .found("a value that is not shown")
        }
    };
    item.fault(
        fault.allowed(allowed).help("put the secret into a file of mode 0600 on the node and refer to it"),
    );
    None
}

/// Refuses a text that looks like a secret written down.
pub(super) fn no_secret(item: &Item<'_>, key: &str, text: &str) -> bool {
    if !looks_secret(key, text) {
        return true;
    }
    item.hide();
    item.fault(
        Fault::new(FaultCode::SecretValue, format!("{:?} looks like a secret written down", item.path()))
            .found("a value that is not shown")
            .allowed("a placeholder such as {credential.password}, or a reference such as file:PATH")
            .help("the cluster file is kept in the replicated log; secrets stay on the nodes that need them"),
    );
    false
}

/// An absolute path.
pub(super) fn path(item: &Item<'_>) -> Option<String> {
    let text = item.filled()?;
    if text.starts_with('/') {
        return Some(text.to_owned());
    }
    item.fault(
        Fault::new(FaultCode::BadText, format!("{:?} is not an absolute path", item.path()))
            .found(format!("{text:?}"))
            .allowed("a path that begins with /"),
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["10.77.0.11:7440", "n1.example:1", "[fd00::11]:7440", "localhost:65535"] {
            assert!(split_address(good).is_some(), "{good}");
        }
        for bad in
            ["10.77.0.11", "10.77.0:7440", ":7440", "a b:1", "n1:0", "n1:70000", "[zz]:1", "-x:1", "n1:"]
        {
            assert!(split_address(bad).is_none(), "{bad}");
        }
    }
}
