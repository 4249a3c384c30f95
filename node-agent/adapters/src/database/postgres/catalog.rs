//! What a database is made of, as sorted lines that are equal for equal databases: names instead of oids, positions
//! without gaps, privileges written out. Objects of extensions are the extension's business.

use super::session::Session;
use crate::database::Answer;
use std::collections::BTreeMap;

/// How many differences are told; more would not help anybody.
const TOLD: usize = 5;

/// Lines by section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description(BTreeMap<&'static str, Vec<String>>);

impl Description {
    /// Reads the catalog of the session's database.
    pub async fn read(session: &Session) -> Answer<Self> {
        let mut sections = BTreeMap::new();
        for (section, sql) in sections_sql() {
            let mut lines = session.column(&sql, &[]).await?;
            lines.sort_unstable();
            sections.insert(section, lines);
        }
        Ok(Self(sections))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The first differences, as seen from `self`; empty when both are equal.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut told = Vec::new();
        let nothing = Vec::new();
        for (section, mine) in &self.0 {
            let theirs = other.0.get(section).unwrap_or(&nothing);
            let only = |a: &[String], b: &[String]| -> Vec<String> {
                a.iter().filter(|line| b.binary_search(line).is_err()).cloned().collect()
            };
            told.extend(only(mine, theirs).into_iter().map(|line| format!("{section}: only live: {line}")));
            told.extend(
                only(theirs, mine).into_iter().map(|line| format!("{section}: only restored: {line}")),
            );
            if told.is_empty() && mine.len() != theirs.len() {
                told.push(format!("{section}: {} lines live, {} restored", mine.len(), theirs.len()));
            }
            if told.len() >= TOLD {
                break;
            }
        }
        told.truncate(TOLD);
        told
    }
}

/// Schemas that are the application's.
const USER_SCHEMA: &str = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/// Privileges of `acl`, written out and sorted; a missing list is the default one of `kind` and `owner`.
fn acl(acl: &str, kind: char, owner: &str) -> String {
    format!(
        "coalesce((select string_agg(line, ',' order by line) from (select case grantee when 0 then 'public' \
         else pg_get_userbyid(grantee)::text end || '=' || privilege_type || case when is_grantable then '*' else '' end \
         as line from aclexplode(coalesce({acl}, acldefault('{kind}', {owner})))) privileges), '')"
    )
}

/// Leaves out what an extension brought.
fn own(class: &str, oid: &str) -> String {
    format!(
        "not exists (select from pg_depend e where e.classid = '{class}'::regclass and e.objid = {oid} and e.deptype = 'e')"
    )
}

fn sections_sql() -> Vec<(&'static str, String)> {
    let mut all = containers();
    all.extend(relations());
    all.extend(programs());
    all.extend(rest());
    all
}

fn containers() -> Vec<(&'static str, String)> {
    let here = "d.datname = current_database()";
    vec![
        (
            "database",
            format!(
                "select format('encoding %s, collation %s, ctype %s, owner %s, privileges %s', \
                 pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_get_userbyid(d.datdba), {}) \
                 from pg_database d where {here}",
                acl("d.datacl", 'd', "d.datdba")
            ),
        ),
        (
            "setting",
            format!(
                "select format('for %s: %s', coalesce(r.rolname::text, 'all'), line) from pg_db_role_setting s \
                 join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole, \
                 unnest(s.setconfig) line where {here}"
            ),
        ),
        (
            "extension",
            "select format('%I %s in %I', x.extname, x.extversion, n.nspname) from pg_extension x \
             join pg_namespace n on n.oid = x.extnamespace"
                .to_owned(),
        ),
        (
            "schema",
            format!(
                "select format('%I owner %s privileges %s', n.nspname, pg_get_userbyid(n.nspowner), {}) \
                 from pg_namespace n where {USER_SCHEMA} and {}",
                acl("n.nspacl", 'n', "n.nspowner"),
                own("pg_namespace", "n.oid")
            ),
        ),
        (
            "default privilege",
            "select format('of %s in %s for %s: %s', pg_get_userbyid(a.defaclrole), \
             coalesce(n.nspname::text, 'all'), a.defaclobjtype, (select string_agg(line, ',' order by line) from \
             (select case grantee when 0 then 'public' else pg_get_userbyid(grantee)::text end || '=' || privilege_type \
             || case when is_grantable then '*' else '' end as line from aclexplode(a.defaclacl)) privileges)) \
             from pg_default_acl a left join pg_namespace n on n.oid = a.defaclnamespace"
                .to_owned(),
        ),
    ]
}

fn relations() -> Vec<(&'static str, String)> {
    let kinds = "c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')";
    let own_relation = own("pg_class", "c.oid");
    vec![
        (
            "relation",
            format!(
                "select format('%s %I.%I owner %s privileges %s persistence %s options %s security %s%s bound %s of %s \
                 populated %s identity %s definition %s', c.relkind, n.nspname, c.relname, pg_get_userbyid(c.relowner), \
                 {}, c.relpersistence, (select string_agg(o, ',' order by o) from unnest(c.reloptions) o), \
                 c.relrowsecurity, c.relforcerowsecurity, pg_get_expr(c.relpartbound, c.oid), \
                 (select string_agg(i.inhparent::regclass::text, ',' order by i.inhseqno) from pg_inherits i \
                 where i.inhrelid = c.oid), c.relispopulated, c.relreplident, \
                 case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) \
                 when c.relkind = 'p' then pg_get_partkeydef(c.oid) end) \
                 from pg_class c join pg_namespace n on n.oid = c.relnamespace where {kinds} and {USER_SCHEMA} and {own_relation}",
                acl("c.relacl", 'r', "c.relowner")
            ),
        ),
        (
            "column",
            format!(
                "select format('%I.%I %s %I %s%s default %s identity %s generated %s collation %s privileges %s', \
                 n.nspname, c.relname, row_number() over (partition by c.oid order by a.attnum), a.attname, \
                 format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' else '' end, \
                 pg_get_expr(f.adbin, f.adrelid), a.attidentity, a.attgenerated, \
                 (select l.collname from pg_collation l where l.oid = a.attcollation), \
                 (select string_agg(line, ',' order by line) from (select case grantee when 0 then 'public' \
                 else pg_get_userbyid(grantee)::text end || '=' || privilege_type as line from aclexplode(a.attacl)) p)) \
                 from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
                 left join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum \
                 where a.attnum > 0 and not a.attisdropped and {kinds} and {USER_SCHEMA} and {own_relation}"
            ),
        ),
        (
            "constraint",
            format!(
                "select format('%I on %s: %s validated %s', k.conname, case when k.conrelid <> 0 \
                 then k.conrelid::regclass::text else k.contypid::regtype::text end, pg_get_constraintdef(k.oid), \
                 k.convalidated) from pg_constraint k join pg_namespace n on n.oid = k.connamespace \
                 where {USER_SCHEMA} and {} and {} and {}",
                own("pg_class", "k.conrelid"),
                own("pg_type", "k.contypid"),
                own("pg_constraint", "k.oid")
            ),
        ),
        (
            // An index that is not valid is not dumped, and the engine does not use it.
            "index",
            format!(
                "select format('%s clustered %s identity %s', pg_get_indexdef(i.indexrelid), i.indisclustered, \
                 i.indisreplident) from pg_index i join pg_class c on c.oid = i.indrelid \
                 join pg_namespace n on n.oid = c.relnamespace where i.indisvalid and {USER_SCHEMA} and {own_relation}"
            ),
        ),
        (
            "sequence",
            format!(
                "select format('%I.%I %s start %s from %s to %s by %s cycle %s cache %s last %s owner %s privileges %s', \
                 n.nspname, c.relname, s.data_type, s.start_value, s.min_value, s.max_value, s.increment_by, s.cycle, \
                 s.cache_size, s.last_value, pg_get_userbyid(c.relowner), {}) \
                 from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                 join pg_sequences s on s.schemaname = n.nspname and s.sequencename = c.relname \
                 where c.relkind = 'S' and {USER_SCHEMA} and {own_relation}",
                acl("c.relacl", 's', "c.relowner")
            ),
        ),
    ]
}

fn programs() -> Vec<(&'static str, String)> {
    vec![
        (
            "function",
            format!(
                "select format('%s owner %s privileges %s: %s', p.oid::regprocedure, pg_get_userbyid(p.proowner), {}, \
                 case when p.prokind = 'a' then (select format('%s %s %s', g.aggtransfn, g.aggfinalfn, \
                 g.agginitval) from pg_aggregate g where g.aggfnoid = p.oid) else pg_get_functiondef(p.oid) end) \
                 from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {USER_SCHEMA} and {}",
                acl("p.proacl", 'f', "p.proowner"),
                own("pg_proc", "p.oid")
            ),
        ),
        (
            "trigger",
            format!(
                "select format('%s enabled %s', pg_get_triggerdef(t.oid), t.tgenabled) from pg_trigger t \
                 join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace \
                 where not t.tgisinternal and {USER_SCHEMA} and {}",
                own("pg_class", "c.oid")
            ),
        ),
        (
            "rule",
            format!(
                "select format('%s enabled %s', pg_get_ruledef(r.oid), r.ev_enabled) from pg_rewrite r \
                 join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace \
                 where r.rulename <> '_RETURN' and {USER_SCHEMA} and {}",
                own("pg_class", "c.oid")
            ),
        ),
        (
            "policy",
            "select format('%I on %s for %s to %s permissive %s using %s check %s', p.polname, \
             p.polrelid::regclass, p.polcmd, (select string_agg(case o when 0 then 'public' else \
             pg_get_userbyid(o)::text end, ',' order by 1) from unnest(p.polroles) o), p.polpermissive, \
             pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) from pg_policy p"
                .to_owned(),
        ),
        (
            "event trigger",
            format!(
                "select format('%I on %s runs %s enabled %s', v.evtname, v.evtevent, v.evtfoid::regprocedure, \
                 v.evtenabled) from pg_event_trigger v where {}",
                own("pg_event_trigger", "v.oid")
            ),
        ),
    ]
}

fn rest() -> Vec<(&'static str, String)> {
    // Kinds that are rare: that each object is there, under its name, is enough.
    let others = [
        "pg_operator",
        "pg_opclass",
        "pg_opfamily",
        "pg_cast",
        "pg_collation",
        "pg_conversion",
        "pg_ts_config",
        "pg_ts_dict",
        "pg_language",
        "pg_foreign_data_wrapper",
        "pg_foreign_server",
        "pg_publication",
    ]
    .map(|class| {
        format!(
            "select (pg_identify_object('{class}'::regclass, o.oid, 0)).type || ' ' || \
             (pg_identify_object('{class}'::regclass, o.oid, 0)).identity from {class} o \
             where o.oid >= 16384 and {}",
            own(class, "o.oid")
        )
    });
    vec![
        (
            "type",
            format!(
                "select format('%s %I.%I owner %s privileges %s base %s%s default %s labels %s range of %s', t.typtype, \
                 n.nspname, t.typname, pg_get_userbyid(t.typowner), {}, format_type(t.typbasetype, t.typtypmod), \
                 case when t.typnotnull then ' not null' else '' end, t.typdefault, \
                 (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid), \
                 (select g.rngsubtype::regtype from pg_range g where g.rngtypid = t.oid)) \
                 from pg_type t join pg_namespace n on n.oid = t.typnamespace \
                 where t.typtype in ('e', 'd', 'r') and {USER_SCHEMA} and {}",
                acl("t.typacl", 'T', "t.typowner"),
                own("pg_type", "t.oid")
            ),
        ),
        (
            "statistics",
            format!(
                "select pg_get_statisticsobjdef(x.oid) from pg_statistic_ext x \
                 join pg_namespace n on n.oid = x.stxnamespace where {USER_SCHEMA}"
            ),
        ),
        (
            "comment",
            "select format('on %s %s: %s', (pg_identify_object(s.classoid, s.objoid, s.objsubid)).type, \
             (pg_identify_object(s.classoid, s.objoid, s.objsubid)).identity, s.description) from pg_description s \
             where s.objoid >= 16384 and not exists (select from pg_depend e where e.classid = s.classoid \
             and e.objid = s.objoid and e.deptype = 'e')"
                .to_owned(),
        ),
        (
            "published table",
            "select format('%I: %I.%I', pubname, schemaname, tablename) from pg_publication_tables".to_owned(),
        ),
        ("other object", others.join(" union all ")),
    ]
}
