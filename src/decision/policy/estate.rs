//! Whom and what policies are about, as Cedar's entities: made once for what a bundle names.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use cedar_policy_core::ast::{Eid, Entity, EntityType, EntityUID};

use super::values;
use crate::decision::cedar::Record;
use crate::decision::client::{ClientId, Registration, Registry};
use crate::decision::lookup::Lookup;
use crate::decision::route::{Api, Inventory};

/// The APIs and the registered clients of a bundle.
pub struct Estate {
    apis: Lookup<String, Arc<Entity>>,
    clients: Lookup<ClientId, Arc<Entity>>,
}

impl Estate {
    /// Makes the entities of every API and every registered client.
    #[must_use]
    pub fn new(inventory: &Inventory, clients: &Registry) -> Self {
        let apis = inventory.apis().iter().filter_map(|api| Some((api.id.clone(), of_api(api)?)));
        let clients = clients
            .iter()
            .filter_map(|(client, registration)| Some((client.clone(), of_client(client, Some(registration))?)));
        Self { apis: apis.collect(), clients: clients.collect() }
    }

    pub(super) fn api(&self, api: &Api) -> Option<Arc<Entity>> {
        self.apis.get(&api.id).cloned().or_else(|| of_api(api))
    }

    /// Without a registration the client counts as unregistered, whatever the registry says.
    pub(super) fn client(&self, client: &ClientId, registration: Option<&Registration>) -> Option<Arc<Entity>> {
        let registered = registration.and_then(|_| self.clients.get(client)).cloned();
        registered.or_else(|| of_client(client, registration))
    }
}

/// A type of the contract. Its name is one, so it is always there; a defect there would deny.
type Kind = LazyLock<Option<EntityType>>;

static CLIENT: Kind = LazyLock::new(|| "Client".parse().ok());
/// The type of every resource.
pub(super) static API: Kind = LazyLock::new(|| "Api".parse().ok());
static ANONYMOUS: LazyLock<Option<Arc<Entity>>> = LazyLock::new(|| {
    let kind = "Anonymous".parse().ok()?;
    Some(Arc::new(entity(kind, "anonymous", Record::new())))
});

pub(super) fn anonymous() -> Option<Arc<Entity>> {
    ANONYMOUS.clone()
}

fn of_api(api: &Api) -> Option<Arc<Entity>> {
    Some(Arc::new(entity(API.clone()?, &api.id, values::api(api))))
}

fn of_client(client: &ClientId, registration: Option<&Registration>) -> Option<Arc<Entity>> {
    // An issuer has no fragment, so the first `#` ends it: no two clients read alike.
    let id = format!("{}#{}", client.issuer, client.id);
    Some(Arc::new(entity(CLIENT.clone()?, &id, values::client(client, registration))))
}

fn entity(kind: EntityType, id: &str, attributes: Record) -> Entity {
    let uid = EntityUID::from_components(kind, Eid::new(id), None);
    let attributes = attributes.into_iter().map(|(name, value)| (name, value.into()));
    Entity::new_with_attr_partial_value(uid, attributes, HashSet::new(), HashSet::new(), [])
}
