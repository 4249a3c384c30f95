//! The holder's secret: made here, kept here, never sent. Only its verifier leaves the host.
//!
//! `grants/<database>-<generation>-<index>/{secret,verifier}` below the agent's data directory, all 0700 and 0600.

use super::scram;
use crate::{
    backup::durable,
    database::{Answer, DatabaseCode},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lockkeeper_core::ids::{DatabaseName, Token};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretString};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Random bytes of a secret: as strong as the keys SCRAM derives from it.
const SECRET_BYTES: usize = 32;

/// Where the secrets of grants are kept.
#[derive(Debug, Clone)]
pub struct GrantSecrets {
    grants: PathBuf,
}

impl GrantSecrets {
    /// Below the agent's data directory.
    pub fn new(data: &Path) -> Self {
        Self { grants: data.join("grants") }
    }

    /// The directory of one grant; files made for the upgrade tool belong in it too.
    pub fn directory(&self, database: &DatabaseName, token: Token) -> PathBuf {
        self.grants.join(format!("{database}-{}-{}", token.generation.0, token.index.0))
    }

    /// The verifier minted for this grant, if there is one.
    pub fn verifier(&self, database: &DatabaseName, token: Token) -> Answer<Option<String>> {
        match fs::read_to_string(self.directory(database, token).join("verifier")) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable("read the verifier", &error)),
        }
    }

    /// The secret minted for this grant.
    pub fn secret(&self, database: &DatabaseName, token: Token) -> Answer<SecretString> {
        match fs::read_to_string(self.directory(database, token).join("secret")) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DatabaseCode::NoCredential
                .refuse(format!("this host has no secret for grant {token} of {database}"))),
            Err(error) => Err(unusable("read the grant's secret", &error)),
        }
    }

    /// Makes the secret and its verifier, once for each token, and removes those of lower tokens: a grant that
    /// follows proves that the earlier ones are closed.
    pub fn mint(&self, database: &DatabaseName, token: Token) -> Answer<String> {
        if let Some(verifier) = self.verifier(database, token)? {
            return Ok(verifier);
        }
        let directory = self.directory(database, token);
        durable::make_private_dir(&directory)
            .map_err(|error| unusable("make the grant's directory", &error))?;
        let secret = match self.secret(database, token) {
            Ok(secret) => secret,
            Err(refusal) if refusal.code == DatabaseCode::NoCredential => {
                let secret = SecretString::from(URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()));
                durable::write_private(&directory.join("secret"), secret.expose_secret().as_bytes())
                    .map_err(|error| unusable("keep the grant's secret", &error))?;
                secret
            }
            Err(refusal) => return Err(refusal),
        };
        let verifier = scram::verifier(&secret, random());
        durable::write_private(&directory.join("verifier"), verifier.as_bytes())
            .map_err(|error| unusable("keep the verifier", &error))?;
        self.forget_below(database, token)?;
        Ok(verifier)
    }

    /// Removes the secret of a closed grant.
    pub fn forget(&self, database: &DatabaseName, token: Token) -> Answer<()> {
        match fs::remove_dir_all(self.directory(database, token)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unusable("remove the grant's secret", &error)),
        }
    }

    fn forget_below(&self, database: &DatabaseName, token: Token) -> Answer<()> {
        let entries = fs::read_dir(&self.grants).map_err(|error| unusable("list earlier grants", &error))?;
        for entry in entries {
            let name = entry.map_err(|error| unusable("list earlier grants", &error))?.file_name();
            let Some(earlier) = name.to_str().and_then(|name| parse(database, name)) else { continue };
            if earlier < token {
                self.forget(database, earlier)?;
            }
        }
        Ok(())
    }
}

/// The token in a directory's name, if it is one of this database.
fn parse(database: &DatabaseName, name: &str) -> Option<Token> {
    use lockkeeper_core::ids::{Generation, LogIndex};
    let (generation, index) = name.strip_prefix(database.as_str())?.strip_prefix('-')?.split_once('-')?;
    Some(Token { generation: Generation(generation.parse().ok()?), index: LogIndex(index.parse().ok()?) })
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn unusable(act: &str, error: &io::Error) -> crate::database::Refusal {
    DatabaseCode::Secret.refuse(format!("cannot {act}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockkeeper_core::ids::{Generation, LogIndex};
    use std::os::unix::fs::PermissionsExt;

    fn token(index: u64) -> Token {
        Token { generation: Generation(1), index: LogIndex(index) }
    }

    #[test]
    fn the_secret_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let (grants, main) = (GrantSecrets::new(dir.path()), DatabaseName::new("main").unwrap());
        let first = grants.mint(&main, token(4)).unwrap();
        assert_eq!(grants.mint(&main, token(4)).unwrap(), first);
        assert!(scram::check(&first).is_ok());
        let secret = grants.directory(&main, token(4)).join("secret");
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&secret).unwrap().len() >= 43);
        assert!(!first.contains(&fs::read_to_string(&secret).unwrap()));
    }

    #[test]
    fn a_crash_between_secret_and_verifier_keeps_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let (grants, main) = (GrantSecrets::new(dir.path()), DatabaseName::new("main").unwrap());
        grants.mint(&main, token(4)).unwrap();
        let before = grants.secret(&main, token(4)).unwrap();
        fs::remove_file(grants.directory(&main, token(4)).join("verifier")).unwrap();
        grants.mint(&main, token(4)).unwrap();
        assert_eq!(grants.secret(&main, token(4)).unwrap().expose_secret(), before.expose_secret());
    }

    #[test]
    fn a_later_grant_forgets_earlier_ones_of_the_same_database_only() {
        let dir = tempfile::tempdir().unwrap();
        let grants = GrantSecrets::new(dir.path());
        let (main, main_2) = (DatabaseName::new("main").unwrap(), DatabaseName::new("main-1").unwrap());
        grants.mint(&main, token(4)).unwrap();
        grants.mint(&main_2, token(3)).unwrap();
        grants.mint(&main, token(9)).unwrap();
        assert_eq!(grants.secret(&main, token(4)).unwrap_err().code, DatabaseCode::NoCredential);
        assert!(grants.secret(&main_2, token(3)).is_ok());
        assert!(grants.secret(&main, token(9)).is_ok());
    }
}
