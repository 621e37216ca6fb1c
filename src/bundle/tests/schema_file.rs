//! The schema: each refusal is one change from the good bundle, and has an allowed twin.

use super::{refuse, row, take, warn};
use crate::decision::token::ClaimType;

const S: &str = "schema.cedarschema";

#[test]
fn the_schema_declares_only_what_is_given() {
    row(
        S,
        "subject?: String,",
        "^sub?: String,",
        "`context.token.sub` is nothing that keybound gives",
        "known here",
        "audiences: Set<String>,",
    );
    row(
        S,
        "subject?: String,",
        "^subjekt?: String,",
        "nothing that keybound gives",
        "did you mean `subject`",
        "subject?: String,",
    );
    row(S, "owner?: String };", "^team?: String };", "`Client.team` is nothing", "known here", "client_id: String };");
    row(
        S,
        "scopes: Set<String>,",
        "^scopes: String,",
        "`context.token.scopes` is declared String",
        "write `scopes: Set<String>`",
        "scopes: Set<String>,",
    );
    row(
        S,
        "age_seconds?: Long",
        "^age_seconds?: datetime",
        "is declared datetime",
        "write `age_seconds?: Long`",
        "age_seconds?: Long",
    );
    row(
        S,
        "type Http = { method: String,",
        "type Http = { method: String, ^peer_ip?: String,",
        "is declared String",
        "write `peer_ip?: ipaddr`",
        "type Http = { method: String, peer_ip?: __cedar::ipaddr,",
    );
    row(
        S,
        "{ token: Token, http:",
        "{ ^token: { iss: String }, http:".replace("^token: { iss", "token: { ^iss").as_str(),
        "`context.token.iss` is nothing",
        "known here",
        "{ token: { issuer: String }, http:",
    );
}

#[test]
fn what_is_not_always_there_is_optional() {
    row(
        S,
        "subject?: String,",
        "^subject: String,",
        "`context.token.subject` is declared required",
        "write `subject?",
        "subject?: String,",
    );
    row(
        S,
        "owner?: String };",
        "^owner: String };",
        "`Client.owner` is declared required",
        "write `owner?",
        "owner?: String };",
    );
    row(
        S,
        "{ token?: Token, proof?",
        "{ ^token: Token, proof?",
        "`context.token` is declared required",
        "write `token?",
        "{ proof?",
    );
    row(
        S,
        "now: datetime } };",
        "now: datetime, ^certificate: { thumbprint: String } } };",
        "`context.certificate` is declared required",
        "certificate?",
        "now: datetime, certificate?: { thumbprint: String } } };",
    );
    take(S, "{ token: Token, proof: Proof,", "{ token?: Token, proof?: Proof,".replace('?', "").as_str());
}

#[test]
fn claims_are_optional_and_of_types_that_tokens_hold() {
    let acr = "acr?: String,";
    row(
        S,
        acr,
        "acr?: String, ^tier: Long,",
        "claim `tier` is declared required",
        "write `tier?: Long`",
        "acr?: String, tier?: Long,",
    );
    row(
        S,
        acr,
        "acr?: String, ^ip?: ipaddr,",
        "declared ipaddr, which no token holds",
        "String, Long, Bool",
        "acr?: String, ip?: Bool,",
    );
    row(
        S,
        acr,
        "acr?: String, ^who?: Client,",
        "declared Client",
        "String, Long, Bool",
        "acr?: String, who?: datetime,",
    );
    row(
        S,
        acr,
        "acr?: String, org?: { ^id: String },",
        "claim `id` is declared required",
        "id?",
        "acr?: String, org?: { id?: String },",
    );
    row(
        S,
        acr,
        "acr?: String, list?: Set<{ ^type: String }>,",
        "claim `type` is declared required",
        "type?",
        "acr?: String, list?: Set<{ type?: String }>,",
    );
    row(
        S,
        acr,
        "acr?: String, ^@claim x?: String,".replace("^@claim x", "@claim ^x").as_str(),
        "names no claim",
        "@claim(\"",
        "acr?: String, @doc(\"d\") @claim(\"x\") y?: String,",
    );
    row(S, acr, "acr?: String, @claims(\"x\") ^y?: String,", "@claims means nothing", "@claim", acr);
    row(
        S,
        acr,
        "acr?: String, @claim(\"acr\") ^y?: String,",
        "claim `acr` is declared twice",
        "one attribute",
        "acr?: String, @claim(\"ACR\") y?: String,",
    );
    row(
        S,
        acr,
        "acr?: String, ^acr?: Long,",
        "declared twice in one record",
        "keep one",
        "acr?: String, amr?: Set<String>,",
    );
    row(
        S,
        "issuer: String, subject",
        "@claim(\"iss\") ^issuer: String, subject",
        "@claim means nothing",
        "only claims",
        "@doc(\"d\") issuer: String, subject",
    );
    let deep = format!("{}Long{}", "{ a?: ".repeat(8), " }".repeat(8));
    refuse(
        S,
        acr,
        &format!(
            "acr?: String, x?: {},",
            deep.replacen("a?", "^a?", 8).replace("^a", "a").replacen("a?: Long", "^a?: Long", 1)
        ),
        "nests as deep",
        "fewer levels",
    );
    let bundle = take(S, acr, "acr?: String, groups?: Set<Set<Long>>, org?: { @claim(\"org_id\") id?: String },");
    let specs = bundle.policies.claims();
    let kind = |name: &str| specs.iter().find(|spec| spec.attribute == name).map(|spec| spec.kind.clone()).unwrap();
    assert_eq!(kind("groups"), ClaimType::Set(Box::new(ClaimType::Set(Box::new(ClaimType::Long)))));
    assert_eq!(kind("since"), ClaimType::Date);
    let ClaimType::Record(org) = kind("org") else { panic!("a record") };
    assert_eq!((org[0].attribute.as_str(), org[0].claim.as_str()), ("id", "org_id"));
}

#[test]
fn all_actions_agree_on_the_claims() {
    let own = "context: { token: { issuer: String, claims: { acr?: Long } }, http: { path: { item_id: String } } }";
    refuse(
        S,
        "action \"items.get\" in [\"read\"]\n  appliesTo { principal: Client, resource: Api, context: { token: Token, http: { path: { item_id: String } } } };",
        &format!("action ^\"items.get\" in [\"read\"]\n  appliesTo {{ principal: Client, resource: Api, {own} }};"),
        "different `context.token.claims`",
        "one type",
    );
    take(
        S,
        "context: { token: Token, http: { path: { item_id: String } } }",
        "context: { token: { issuer: String }, http: { path: { item_id: String } } }",
    );
    take(
        S,
        "context: { token: Token, http: { path: { item_id: String } } }",
        "context: { http: { path: { item_id: String } } }",
    );
}

#[test]
fn entity_types_are_three_and_plain() {
    row(
        S,
        "entity Anonymous;",
        "entity Anonymous; entity ^Team;",
        "`Team` is none that keybound knows",
        "nothing would fill",
        "entity Anonymous;",
    );
    refuse(
        S,
        "entity Anonymous;",
        "entity Anonymous; namespace^ Shop { entity X; }".replace("namespace^", "^namespace").as_str(),
        "`namespace` declarations",
        "without a namespace",
    );
    refuse(
        S,
        "entity Anonymous;",
        "entity Anonymous; ^external entity X;",
        "`external` declarations",
        "declare everything",
    );
    refuse(
        S,
        "entity Anonymous;",
        "entity ^Anonymous = { ^name: String };".replacen('^', "", 1).as_str(),
        "`Anonymous.name` is nothing",
        "nothing is known",
    );
    refuse(S, "entity Anonymous;", "entity ^Anonymous enum [\"anonymous\"];", "has `enum`", "attributes only");
    refuse(
        S,
        "entity Api = { sensitivity: String };",
        "entity ^Api = { sensitivity: String } tags String;",
        "has `tags`",
        "attributes only",
    );
    refuse(
        S,
        "entity Api = { sensitivity: String };",
        "entity ^Api in [Api] = { sensitivity: String };",
        "has `in`",
        "attributes only",
    );
    refuse(
        S,
        "action \"read\", \"write\";",
        "action \"read\", \"write\"; action ^odd appliesTo { principal: Api, resource: Api };",
        "applies to other types",
        "principal: Client",
    );
}

#[test]
fn names_are_written_as_they_are_read() {
    let action = "action \"health\"";
    refuse(
        S,
        action,
        "action ^\"h\\u{65}\" appliesTo { principal: Client, resource: Api }; action \"health\"",
        "an escape",
        "as they are read",
    );
    refuse(S, "acr?: String,", "acr?: String, ^\"a\\n\"?: String,", "an escape", "as they are read");
    take(S, "acr?: String,", "acr?: String, \"a b\"?: String,");
}

#[test]
fn path_parameters_are_in_the_paths_of_their_action() {
    let path = "{ path: { item_id: String } }";
    row(
        S,
        path,
        "{ path: { ^itm_id: String } }",
        "has no path parameter `itm_id`",
        "did you mean `item_id`",
        "{ path: {} }",
    );
    row(
        S,
        path,
        "{ path: { ^item_id: Long } }",
        "path parameter `item_id` is declared Long",
        "String",
        "{ path: { item_id?: String } }",
    );
    row(S, path, "{ path: { item_id: String, ^page: String } }", "no path parameter `page`", "page?: String", path);
    warn(
        S,
        path,
        "{ path: { item_id: String, ^page?: String } }",
        "no path in apis.yaml has a parameter `page`",
        "never true",
    );
    warn(
        S,
        "action \"health\"",
        "action ^\"spare\" appliesTo { principal: Client, resource: Api };\naction \"health\"",
        "no operation in apis.yaml is action \"spare\"",
        "remove the action",
    );
}
