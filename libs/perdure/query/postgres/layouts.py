"""Columns of the tables of `pg_catalog` and `information_schema`, as far as clients ask for them.

`text`, `char`, `bool`, `int` (object identifiers and numbers alike), `float`, `text[]`, `int[]`; what has no type is text.
"""

from typing import Final

Layout = tuple[tuple[str, str], ...]


def _layout(*columns: str) -> Layout:
    pairs = (column.partition(":") for column in " ".join(columns).split())
    return tuple((name, kind or "text") for name, _, kind in pairs)


def _system_layout(*columns: str) -> Layout:
    return _layout(*columns, "tableoid:int")


SYSTEM_TABLES: Final[dict[str, Layout]] = {
    "pg_namespace": _system_layout("oid:int nspname nspowner:int nspacl:text[]"),
    "pg_class": _system_layout(
        "oid:int relname relnamespace:int reltype:int reloftype:int relowner:int relam:int relfilenode:int reltablespace:int",
        "relpages:int reltuples:float relallvisible:int reltoastrelid:int relhasindex:bool relisshared:bool relpersistence:char",
        "relkind:char relnatts:int relchecks:int relhasrules:bool relhastriggers:bool relhassubclass:bool relrowsecurity:bool",
        "relforcerowsecurity:bool relispopulated:bool relreplident:char relispartition:bool relhasoids:bool relrewrite:int",
        "relfrozenxid:int relminmxid:int relacl:text[] reloptions:text[] relpartbound",
    ),
    "pg_attribute": _layout(
        "attrelid:int attname atttypid:int attstattarget:int attlen:int attnum:int attndims:int atttypmod:int attbyval:bool",
        "attalign attstorage:char attcompression:char attnotnull:bool atthasdef:bool atthasmissing:bool attidentity:char",
        "attgenerated:char attisdropped:bool attislocal:bool attinhcount:int attcollation:int attacl:text[] attoptions:text[]",
        "attfdwoptions:text[]",
    ),
    "pg_type": _system_layout(
        "oid:int typname typnamespace:int typowner:int typlen:int typbyval:bool typtype:char typcategory:char",
        "typispreferred:bool typisdefined:bool typdelim:char typrelid:int typelem:int typarray:int typinput typoutput",
        "typreceive typsend typalign:char typstorage:char typnotnull:bool typbasetype:int typtypmod:int typndims:int",
        "typcollation:int typdefault typacl:text[]",
    ),
    "pg_database": _system_layout(
        "oid:int datname datdba:int encoding:int datlocprovider datistemplate:bool datallowconn:bool datconnlimit:int",
        "datcollate datctype daticulocale datcollversion dattablespace:int datacl:text[]",
    ),
    "pg_roles": _system_layout(
        "oid:int rolname rolsuper:bool rolinherit:bool rolcreaterole:bool rolcreatedb:bool rolcanlogin:bool rolreplication:bool",
        "rolconnlimit:int rolpassword rolvaliduntil rolbypassrls:bool rolconfig:text[]",
    ),
    "pg_authid": _system_layout("oid:int rolname rolsuper:bool rolinherit:bool rolcanlogin:bool rolconnlimit:int"),
    "pg_auth_members": _layout("roleid:int member:int grantor:int admin_option:bool"),
    "pg_user": _layout("usename usesysid:int usecreatedb:bool usesuper:bool"),
    "pg_settings": _layout(
        "name setting unit category short_desc context vartype source min_val max_val enumvals:text[] boot_val reset_val",
    ),
    "pg_tables": _layout(
        "schemaname tablename tableowner tablespace hasindexes:bool hasrules:bool hastriggers:bool rowsecurity:bool",
    ),
    "pg_views": _layout("schemaname viewname viewowner definition"),
    "pg_matviews": _layout("schemaname matviewname matviewowner tablespace hasindexes:bool ispopulated:bool definition"),
    "pg_indexes": _layout("schemaname tablename indexname tablespace indexdef"),
    "pg_am": _system_layout("oid:int amname amhandler amtype:char"),
    "pg_attrdef": _system_layout("oid:int adrelid:int adnum:int adbin"),
    "pg_collation": _system_layout(
        "oid:int collname collnamespace:int collowner:int collprovider collencoding:int collisdeterministic:bool colliculocale",
        "collversion collcollate collctype",
    ),
    "pg_constraint": _system_layout(
        "oid:int conname connamespace:int contype:char condeferrable:bool condeferred:bool convalidated:bool conrelid:int",
        "contypid:int conindid:int conparentid:int confrelid:int confupdtype confdeltype confmatchtype conislocal:bool",
        "coninhcount:int connoinherit:bool conkey:int[] confkey:int[] conbin",
    ),
    "pg_depend": _layout("classid:int objid:int objsubid:int refclassid:int refobjid:int refobjsubid:int deptype"),
    "pg_description": _layout("objoid:int classoid:int objsubid:int description"),
    "pg_shdescription": _layout("objoid:int classoid:int description"),
    "pg_enum": _system_layout("oid:int enumtypid:int enumsortorder:float enumlabel"),
    "pg_event_trigger": _system_layout("oid:int evtname evtevent evtowner:int evtfoid:int evtenabled evttags:text[]"),
    "pg_extension": _system_layout("oid:int extname extowner:int extnamespace:int extrelocatable:bool extversion"),
    "pg_foreign_data_wrapper": _system_layout("oid:int fdwname fdwowner:int fdwhandler fdwvalidator fdwacl:text[] fdwoptions:text[]"),
    "pg_foreign_server": _system_layout("oid:int srvname srvowner:int srvfdw:int srvtype srvversion srvacl:text[] srvoptions:text[]"),
    "pg_foreign_table": _layout("ftrelid:int ftserver:int ftoptions:text[]"),
    "pg_get_keywords": _layout("word catcode catdesc"),
    "pg_index": _layout(
        "indexrelid:int indrelid:int indnatts:int indnkeyatts:int indisunique:bool indisprimary:bool indisexclusion:bool",
        "indimmediate:bool indisclustered:bool indisvalid:bool indcheckxmin:bool indisready:bool indislive:bool",
        "indisreplident:bool indnullsnotdistinct:bool indkey:int[] indcollation:int[] indclass:int[] indoption:int[] indexprs",
        "indpred",
    ),
    "pg_inherits": _layout("inhrelid:int inhparent:int inhseqno:int inhdetachpending:bool"),
    "pg_language": _system_layout(
        "oid:int lanname lanowner:int lanispl:bool lanpltrusted:bool lanplcallfoid:int laninline:int lanvalidator:int lanacl:text[]",
    ),
    "pg_opclass": _system_layout(
        "oid:int opcname opcnamespace:int opcmethod:int opcfamily:int opcowner:int opcdefault:bool opcintype:int opckeytype:int",
    ),
    "pg_operator": _system_layout("oid:int oprname oprnamespace:int oprkind oprleft:int oprright:int oprresult:int oprcode:int"),
    "pg_partitioned_table": _layout("partrelid:int partstrat partnatts:int partdefid:int partattrs:int[]"),
    "pg_policy": _system_layout("oid:int polname polrelid:int polcmd polpermissive:bool polroles:int[] polqual polwithcheck"),
    "pg_proc": _system_layout(
        "oid:int proname pronamespace:int proowner:int prolang:int prokind:char provariadic:int proretset:bool provolatile",
        "pronargs:int prorettype:int proargtypes:int[] proallargtypes:int[] proargmodes:text[] proargnames:text[] prosrc",
        "proacl:text[] procost:float prorows:float prosecdef:bool proleakproof:bool proisstrict:bool proparallel:char proargdefaults",
        "prosupport probin proconfig:text[]",
    ),
    "pg_publication": _system_layout(
        "oid:int pubname pubowner:int puballtables:bool pubinsert:bool pubupdate:bool pubdelete:bool pubtruncate:bool pubviaroot:bool",
    ),
    "pg_publication_rel": _system_layout("oid:int prpubid:int prrelid:int prqual prattrs:int[]"),
    "pg_publication_namespace": _system_layout("oid:int pnpubid:int pnnspid:int"),
    "pg_range": _layout("rngtypid:int rngsubtype:int rngmultitypid:int rngcollation:int rngsubopc:int"),
    "pg_rewrite": _system_layout("oid:int rulename ev_class:int ev_type ev_enabled is_instead:bool"),
    "pg_sequence": _layout(
        "seqrelid:int seqtypid:int seqstart:int seqincrement:int seqmax:int seqmin:int seqcache:int seqcycle:bool",
    ),
    "pg_sequences": _layout("schemaname sequencename sequenceowner"),
    "pg_stat_activity": _layout("datid:int datname pid:int usesysid:int usename application_name client_addr state query"),
    "pg_locks": _layout("locktype database:int relation:int pid:int mode granted:bool transactionid:int"),
    "pg_statistic_ext": _system_layout(
        "oid:int stxrelid:int stxname stxnamespace:int stxowner:int stxstattarget:int stxkeys:int[] stxkind:text[]",
    ),
    "pg_tablespace": _system_layout("oid:int spcname spcowner:int spcacl:text[] spcoptions:text[]"),
    "pg_trigger": _system_layout(
        "oid:int tgrelid:int tgparentid:int tgname tgfoid:int tgtype:int tgenabled tgisinternal:bool tgconstraint:int",
    ),
    "pg_aggregate": _layout("aggfnoid:int aggkind:char aggtransfn aggfinalfn aggtranstype:int"),
    "pg_amop": _system_layout(
        "oid:int amopfamily:int amoplefttype:int amoprighttype:int amopstrategy:int amoppurpose:char amopopr:int amopmethod:int"
    ),
    "pg_amproc": _system_layout("oid:int amprocfamily:int amproclefttype:int amprocrighttype:int amprocnum:int amproc"),
    "pg_cast": _system_layout("oid:int castsource:int casttarget:int castfunc:int castcontext:char castmethod:char"),
    "pg_conversion": _system_layout(
        "oid:int conname connamespace:int conowner:int conforencoding:int contoencoding:int conproc condefault:bool"
    ),
    "pg_cursors": _layout("name statement is_holdable:bool is_binary:bool is_scrollable:bool creation_time"),
    "pg_db_role_setting": _layout("setdatabase:int setrole:int setconfig:text[]"),
    "pg_default_acl": _system_layout("oid:int defaclrole:int defaclnamespace:int defaclobjtype:char defaclacl:text[]"),
    "pg_group": _layout("groname grosysid:int grolist:int[]"),
    "pg_largeobject_metadata": _system_layout("oid:int lomowner:int lomacl:text[]"),
    "pg_opfamily": _system_layout("oid:int opfmethod:int opfname opfnamespace:int opfowner:int"),
    "pg_parameter_acl": _system_layout("oid:int parname paracl:text[]"),
    "pg_policies": _layout("schemaname tablename policyname permissive roles:text[] cmd qual with_check"),
    "pg_prepared_statements": _layout("name statement prepare_time parameter_types:text[] from_sql:bool"),
    "pg_rules": _layout("schemaname tablename rulename definition"),
    "pg_stat_database": _layout("datid:int datname numbackends:int xact_commit:int xact_rollback:int"),
    "pg_stat_user_tables": _layout("relid:int schemaname relname seq_scan:int idx_scan:int n_live_tup:int n_dead_tup:int"),
    "pg_stats": _layout("schemaname tablename attname null_frac:float avg_width:int n_distinct:float"),
    "pg_subscription": _system_layout(
        "oid:int subdbid:int subname subowner:int subenabled:bool subbinary:bool substream:bool subtwophasestate subdisableonerr:bool",
        "subsynccommit subconninfo subskiplsn subpublications:text[]",
    ),
    "pg_ts_config": _system_layout("oid:int cfgname cfgnamespace:int cfgowner:int cfgparser:int"),
    "pg_ts_dict": _system_layout("oid:int dictname dictnamespace:int dictowner:int dicttemplate:int dictinitoption"),
    "pg_ts_parser": _system_layout("oid:int prsname prsnamespace:int prsstart prstoken prsend prsheadline prslextype"),
    "pg_ts_template": _system_layout("oid:int tmplname tmplnamespace:int tmplinit tmpllexize"),
    "pg_user_mappings": _layout("umid:int srvid:int srvname umuser:int usename umoptions:text[]"),
}
"""Tables of `pg_catalog`, with their columns and the types of those."""

_NAMES: Final = "table_catalog table_schema table_name"
_CONSTRAINT: Final = "constraint_catalog constraint_schema constraint_name"

INFORMATION_TABLES: Final[dict[str, Layout]] = {
    "schemata": _layout("catalog_name schema_name schema_owner default_character_set_name"),
    "tables": _layout(_NAMES, "table_type is_insertable_into is_typed"),
    "columns": _layout(
        _NAMES,
        "column_name ordinal_position:int column_default is_nullable data_type character_maximum_length:int character_octet_length:int",
        "numeric_precision:int numeric_precision_radix:int numeric_scale:int datetime_precision:int interval_type collation_name",
        "domain_name udt_catalog udt_schema udt_name is_identity identity_generation is_generated generation_expression is_updatable",
    ),
    "views": _layout(_NAMES, "view_definition check_option is_updatable"),
    "table_constraints": _layout(_CONSTRAINT, _NAMES, "constraint_type is_deferrable initially_deferred"),
    "key_column_usage": _layout(_CONSTRAINT, _NAMES, "column_name ordinal_position:int position_in_unique_constraint:int"),
    "constraint_column_usage": _layout(_NAMES, "column_name", _CONSTRAINT),
    "referential_constraints": _layout(_CONSTRAINT, "unique_constraint_schema unique_constraint_name match_option update_rule delete_rule"),
    "routines": _layout("routine_catalog routine_schema routine_name routine_type data_type"),
    "sequences": _layout("sequence_catalog sequence_schema sequence_name data_type"),
    "triggers": _layout("trigger_catalog trigger_schema trigger_name event_object_schema event_object_table"),
}
"""Tables of `information_schema`, as PostgreSQL has them."""
