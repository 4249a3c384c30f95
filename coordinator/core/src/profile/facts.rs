//! What a profile wants to be looked at before a plan is made.

use super::{
    Profile,
    model::{CommandTemplate, VersionTemplate},
    resolve::{Scope, Unfilled, Versions},
};
use crate::{
    cluster::ClusterSpec,
    ids::{DatabaseName, MemberName},
    plan::{
        action::{CommandSpec, OnAgentLoss},
        limits,
    },
    version::Version,
};
use serde::{Deserialize, Serialize};

/// Ways to read an application's installed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionQuery {
    /// First line of a file.
    File(String),
    /// The last path component a link points to.
    Link(String),
    /// First line of a command's output.
    Command(CommandSpec),
}

impl Profile {
    /// How this member's installed version is found.
    pub fn version_query(&self, spec: &ClusterSpec, member: &MemberName) -> Result<VersionQuery, Unfilled> {
        let scope = Scope::new(self, spec).of_member(member);
        match scope.choose(&self.version) {
            Some(VersionTemplate::File(file)) => Ok(VersionQuery::File(scope.text(file)?)),
            Some(VersionTemplate::Link(link)) => Ok(VersionQuery::Link(scope.text(link)?)),
            Some(VersionTemplate::Command(command)) => {
                Ok(VersionQuery::Command(command_spec(&scope, command, OnAgentLoss::Kill)?))
            }
            None => Ok(VersionQuery::Link(scope.release_link()?)),
        }
    }

    /// The SQL that answers this database's schema version; empty if the profile has none.
    pub fn schema_query(&self, spec: &ClusterSpec, database: &DatabaseName) -> Result<String, Unfilled> {
        let scope = Scope::new(self, spec).of_database(database);
        self.schema.as_ref().map_or(Ok(String::new()), |schema| scope.text(&schema.query))
    }

    /// Where a release lies on this member.
    pub fn release_directory(
        &self,
        spec: &ClusterSpec,
        member: &MemberName,
        version: &Version,
    ) -> Result<String, Unfilled> {
        let versions = Versions { from: version, to: version, version };
        Scope::new(self, spec).of_member(member).with_versions(versions).release_directory()
    }
}

/// A command, filled in.
pub(crate) fn command_spec(
    scope: &Scope<'_>,
    command: &CommandTemplate,
    on_agent_loss: OnAgentLoss,
) -> Result<CommandSpec, Unfilled> {
    let argv = scope.list(&command.argv)?;
    if argv.first().is_none_or(String::is_empty) {
        return Err(Unfilled::NotA(argv.join(" "), "a command: the program is missing"));
    }
    Ok(CommandSpec {
        argv,
        env: scope.table(&command.env)?,
        dir: scope.text(&command.dir)?,
        shell: command.shell,
        timeout: command.timeout.as_ref().map_or(Ok(limits::COMMAND), |t| scope.duration(t))?,
        success: command.success.clone(),
        on_agent_loss,
    })
}
