//! Policies: who may see and do what, beside the rights of their tokens.
//!
//! A policy is one file (`policy/file.rs`). Applied, its names become ids (`resolve.rs`) and it is kept
//! as a version; the last version is in force. For a caller, a base and a moment the rules that are
//! about them (`rules.rs`) are worked out once for the base's schema (`reach.rs`).

mod explain;
pub mod file;
mod narrow;
mod reach;
mod resolve;
pub mod rules;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tablewright_core::model::{BaseId, WorkspaceId};
use tablewright_core::{Code, Fault};
use tablewright_engine::replica::Replica;
use tablewright_engine::store::policies::StoredPolicy;
use tablewright_engine::{Engine, Snapshot};

pub use explain::{Asked, Explained, Tested};
pub(crate) use reach::Reach;

use self::file::{Default, PolicyFile, Verb};
use self::resolve::{Names, bases_of, resolve};
use self::rules::{Circumstances, Footing, Index, RuleSet, Verdict, What};
use crate::access::Caller;
use crate::directory::{Directory, Member};
use crate::tokens::Tokens;

/// Longest policy file, in bytes.
const MAX_FILE: usize = 1024 * 1024;
/// Most questions whose rules are remembered.
const MAX_DECIDED: usize = 10_000;
/// Most sets of rules that are kept worked out.
const MAX_REACHES: usize = 64;
/// Faces through which the owner of the machine comes: no policy binds them.
const OWNERS: [&str; 2] = ["cli", "console"];

/// The policies of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Policies(Arc<Inner>);

struct Inner {
    engine: Engine,
    tokens: Tokens,
    /// Which login a base is read with: what workspace it is in.
    replica: Replica,
    /// Tools and commands that rules can be about.
    tools: Vec<String>,
    /// Of hash masks.
    key: Vec<u8>,
    held: RwLock<Arc<InForce>>,
    decided: Mutex<Decided>,
    reaches: Mutex<Reaches>,
}

/// The policy in force.
struct InForce {
    /// 0 before there was one.
    version: i64,
    index: Index,
}

impl InForce {
    fn is_open(&self) -> bool {
        let set = self.index.set();
        set.rules.is_empty() && set.default == Default::Allow
    }
}

/// The version of the policy, the base, and what is about whoever asks.
type Key = (i64, BaseId, Bound);

/// What binds somebody somewhere: the numbers of the rules about them, and what they are in the
/// workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Bound {
    numbers: Arc<[u32]>,
    footing: Footing,
}

/// Who asks, and about which base in which workspace, where rules are about workspaces.
type Asker = (Arc<str>, Option<Arc<str>>, Footing, Option<BaseId>, Option<WorkspaceId>);

/// A tool or command, and the numbers of the rules about it.
type Found = (Box<str>, Arc<[u32]>);

/// Rules found for those who asked within a minute: hours count in minutes, so within one the same
/// rules hold.
#[derive(Default)]
struct Decided {
    version: i64,
    minute: i64,
    held: HashMap<Asker, Vec<Found>>,
    count: usize,
}

/// Sets of rules worked out for bases, the last used ones.
#[derive(Default)]
struct Reaches {
    held: HashMap<Key, (Arc<Reach>, u64)>,
    uses: u64,
}

/// A policy that was applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Its version.
    pub version: i64,
    /// How many rules it has.
    pub rules: usize,
}

impl Policies {
    /// Reads the policy in force from this engine's store. `tools` are what rules can name.
    pub async fn open(
        engine: Engine,
        tokens: Tokens,
        replica: Replica,
        tools: Vec<String>,
    ) -> Result<Self, Fault> {
        let mut new = [0; 32];
        getrandom::fill(&mut new).map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let key = engine.store().mask_key(&hex(&new)).await.map_err(Fault::from)?.into_bytes();
        let none = RuleSet { default: Default::Allow, rules: Vec::new() };
        let none = InForce { version: 0, index: Index::new(none) };
        let (held, reaches, decided) = (RwLock::new(Arc::new(none)), Mutex::default(), Mutex::default());
        let policies = Self(Arc::new(Inner { engine, tokens, replica, tools, key, held, decided, reaches }));
        policies.refresh().await?;
        Ok(policies)
    }

    fn held(&self) -> Arc<InForce> {
        self.0.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(&self) -> Result<(), Fault> {
        let Some(stored) = self.0.engine.store().last_policy().await.map_err(Fault::from)? else {
            return Ok(());
        };
        let set = serde_json::from_str(&stored.rules).map_err(|e| {
            Fault::new(Code::Internal, format!("policy version {} is damaged: {e}", stored.version))
        })?;
        let held = InForce { version: stored.version, index: Index::new(set) };
        *self.0.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(held);
        self.0.reaches.lock().unwrap_or_else(PoisonError::into_inner).held.clear();
        Ok(())
    }

    /// The file in force, if there ever was one.
    pub async fn last(&self) -> Result<Option<StoredPolicy>, Fault> {
        self.0.engine.store().last_policy().await.map_err(Fault::from)
    }

    /// The file that was version `version`.
    pub async fn version(&self, version: i64) -> Result<StoredPolicy, Fault> {
        let found = self.0.engine.store().policy(version).await.map_err(Fault::from)?;
        let none = || Fault::new(Code::InvalidArguments, format!("there is no policy version {version}"));
        found.ok_or_else(none)
    }

    /// Versions with when (milliseconds since the epoch) and by whom, newest first.
    pub async fn history(&self, limit: u32) -> Result<Vec<(i64, i64, String)>, Fault> {
        self.0.engine.store().policy_versions(limit).await.map_err(Fault::from)
    }

    /// Reads a file and asks its tests; nothing is changed. How many rules it has, and its tests.
    pub async fn check(&self, text: &str) -> Result<(usize, Vec<Tested>), Fault> {
        let (file, set) = self.read(text).await?;
        let index = Index::new(set);
        let tested = self.test_all(&index, &file).await?;
        Ok((index.set().rules.len(), tested))
    }

    /// Makes a file the policy in force, unless a test of its own fails.
    pub async fn apply(&self, text: &str, by: &str) -> Result<Applied, Fault> {
        let last = self.held().version;
        let (file, set) = self.read(text).await?;
        let index = Index::new(set);
        let tested = self.test_all(&index, &file).await?;
        let failed: Vec<String> = tested.iter().filter(|test| !test.passed).map(Tested::told).collect();
        if !failed.is_empty() {
            let message = format!("nothing was applied, as tests of the file fail:\n{}", failed.join("\n"));
            return Err(Fault::new(Code::InvalidFile, message));
        }
        let rules =
            serde_json::to_string(index.set()).map_err(|e| Fault::new(Code::Internal, e.to_string()))?;
        let (store, now) = (self.0.engine.store(), self.0.engine.clock().now_ms());
        let added = store.add_policy(last, now, by, text, &rules).await.map_err(Fault::from)?;
        let Some(version) = added else {
            let message = "somebody else applied a policy at the same time; look at it and try again";
            return Err(Fault::new(Code::Conflict, message));
        };
        self.refresh().await?;
        Ok(Applied { version, rules: index.set().rules.len() })
    }

    async fn read(&self, text: &str) -> Result<(PolicyFile, RuleSet), Fault> {
        if text.len() > MAX_FILE {
            let message = format!("the policy has {} bytes; at most {MAX_FILE} are read", text.len());
            return Err(Fault::new(Code::InvalidFile, message));
        }
        let file: PolicyFile =
            toml::from_str(text).map_err(|e| Fault::new(Code::InvalidFile, e.to_string()))?;
        let bases = self.0.engine.bases();
        let mut schemas = HashMap::new();
        for wanted in bases_of(&file) {
            // One that is not there is told of where it is named.
            if let Ok((id, _)) = tablewright_core::model::schema::find_base(&bases, wanted) {
                schemas.insert(*id, self.0.engine.schema(*id).await?);
            }
        }
        let names = Names {
            bases,
            schemas,
            principals: self.principals(),
            workspaces: self
                .directory()
                .workspaces()
                .into_iter()
                .map(|(id, name)| (id.to_string(), name))
                .collect(),
            tools: self.0.tools.clone(),
        };
        let set = resolve(&file, &names)?;
        Ok((file, set))
    }

    /// Keys of those who are known by name.
    fn principals(&self) -> Vec<String> {
        let tokens = self.0.tokens.list();
        let in_force = tokens.iter().filter(|token| token.revoked_at.is_none());
        let tokens = in_force.map(|token| format!("token:{}", token.name));
        let members = self.directory().members().into_iter().map(|member| member.principal.to_string());
        tokens.chain(members).collect()
    }

    /// Who belongs where.
    pub fn directory(&self) -> &Directory {
        self.0.tokens.directory()
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// The workspace a base is in.
    pub fn workspace_of(&self, base: BaseId) -> WorkspaceId {
        self.directory().workspace_of(base, self.0.replica.login_of(base).as_deref())
    }

    /// What a member is in the workspace of a base; without a base, what they are anywhere.
    fn footing(&self, member: Option<&Member>, base: Option<BaseId>) -> Footing {
        let Some(member) = member else { return Footing::Free };
        let role = base.map_or_else(|| member.highest(), |base| member.role_in(self.workspace_of(base)));
        role.map_or(Footing::Stranger, Footing::Member)
    }

    /// Whether a policy may say something about a caller anywhere.
    pub fn concern(&self, caller: &Caller) -> bool {
        !OWNERS.contains(&caller.face) && (caller.member.is_some() || !self.held().is_open())
    }

    /// What binds a caller; `None` when nothing does.
    fn bound(&self, held: &InForce, caller: &Caller, action: &str, base: Option<BaseId>) -> Option<Bound> {
        let member = caller.member.as_deref();
        if OWNERS.contains(&caller.face) || (held.is_open() && member.is_none()) {
            return None;
        }
        let footing = self.footing(member, base);
        if held.is_open() {
            return Some(Bound { numbers: Arc::default(), footing });
        }
        let numbers = self.numbers(held, caller, action, base, footing);
        let is_bound =
            !numbers.is_empty() || held.index.set().default == Default::Deny || footing != Footing::Free;
        is_bound.then_some(Bound { numbers, footing })
    }

    /// Numbers of the rules that are about a caller.
    fn numbers(
        &self,
        held: &InForce,
        caller: &Caller,
        action: &str,
        base: Option<BaseId>,
        footing: Footing,
    ) -> Arc<[u32]> {
        let now = self.0.engine.clock().now_ms();
        let workspace = base.filter(|_| held.index.names_workspaces()).map(|base| self.workspace_of(base));
        let asker = (caller.principal.clone(), caller.credential.clone(), footing, base, workspace);
        let lock = || self.0.decided.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut decided = lock();
            let minute = now.div_euclid(60_000);
            if (decided.version, decided.minute) != (held.version, minute) || decided.count >= MAX_DECIDED {
                *decided = Decided { version: held.version, minute, ..Decided::default() };
            }
            let known =
                decided.held.get(&asker).and_then(|by| by.iter().find(|(known, _)| **known == *action));
            if let Some((_, numbers)) = known {
                return numbers.clone();
            }
        }
        let credential = caller.credential.as_deref().filter(|credential| **credential != *caller.principal);
        let who = keys(&caller.principal, credential, footing);
        let workspace = workspace.map(|id| id.to_string());
        let at = Circumstances { who: &who, base, workspace: workspace.as_deref(), action, now };
        let numbers: Arc<[u32]> = held.index.in_force(&at).into();
        let mut decided = lock();
        if (decided.version, decided.minute) == (held.version, now.div_euclid(60_000)) {
            decided.held.entry(asker).or_default().push((action.into(), numbers.clone()));
            decided.count += 1;
        }
        numbers
    }

    /// Whether a policy says something about a caller in a base.
    pub(crate) fn binds(&self, caller: &Caller, action: &str, base: BaseId) -> bool {
        self.bound(&self.held(), caller, action, Some(base)).is_some()
    }

    /// Whether rules say something about a caller in a base, beside their role.
    pub(crate) fn rules_bind(&self, caller: &Caller, action: &str, base: BaseId) -> bool {
        let held = self.held();
        let bound = self.bound(&held, caller, action, Some(base));
        bound.is_some_and(|bound| !bound.numbers.is_empty() || held.index.set().default == Default::Deny)
    }

    /// Whether a caller may know of a base.
    pub(crate) fn shows(&self, caller: &Caller, action: &str, base: BaseId) -> bool {
        let held = self.held();
        let Some(bound) = self.bound(&held, caller, action, Some(base)) else { return true };
        let standing = held.index.standing(&bound.numbers, bound.footing);
        match standing.base(Verb::Read) {
            Verdict::Allowed(_) => true,
            Verdict::Denied(Some(_)) | Verdict::Beyond(_) => false,
            Verdict::Denied(None) => standing.rules().iter().any(|rule| {
                rule.what == What::Allow && (rule.verbs.is_empty() || rule.verbs.contains(&Verb::Read))
            }),
        }
    }

    /// Refuses to make a base where the policy does not let the caller change schemas of whatever base.
    pub(crate) fn require_new_bases(&self, caller: &Caller, action: &str) -> Result<(), Fault> {
        let held = self.held();
        let Some(bound) = self.bound(&held, caller, action, None) else { return Ok(()) };
        match held.index.standing(&bound.numbers, bound.footing).base(Verb::Design) {
            Verdict::Allowed(_) => Ok(()),
            Verdict::Denied(_) => Err(Fault::new(Code::Forbidden, "the policy does not let you make bases.")),
            Verdict::Beyond(_) => {
                let message =
                    "you make bases in a workspace where you are a creator or an owner, and there is none.";
                Err(Fault::new(Code::Forbidden, message))
            }
        }
    }

    /// Whether a caller may use a tool at all.
    pub fn lets_use(&self, caller: &Caller, tool: &str) -> bool {
        let held = self.held();
        let Some(bound) = self.bound(&held, caller, tool, None) else { return true };
        let standing = held.index.standing(&bound.numbers, bound.footing);
        let closed = |rule: &&rules::Rule| {
            rule.what == What::Deny
                && rule.verbs.is_empty()
                && rule.base.is_none()
                && rule.workspace.is_none()
        };
        !standing.rules().iter().any(closed)
    }

    /// How far a caller reaches in a base; `None` when no policy binds them.
    pub(crate) fn reach(&self, caller: &Caller, action: &str, whole: &Snapshot) -> Option<Arc<Reach>> {
        let held = self.held();
        let base = whole.schema.id;
        let bound = self.bound(&held, caller, action, Some(base))?;
        Some(self.worked_out(&held, bound, whole))
    }

    fn worked_out(&self, held: &InForce, bound: Bound, whole: &Snapshot) -> Arc<Reach> {
        let key = (held.version, whole.schema.id, bound);
        let lock = || self.0.reaches.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut reaches = lock();
            reaches.uses += 1;
            let uses = reaches.uses;
            if let Some((reach, used)) =
                reaches.held.get_mut(&key).filter(|(reach, _)| reach.fits(&whole.schema))
            {
                *used = uses;
                return reach.clone();
            }
        }
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let standing = held.index.standing(&key.2.numbers, key.2.footing);
        let reach = Reach::new(whole, &standing, &self.0.key, hasher.finish() | 1);
        let reach = Arc::new(reach);
        let mut reaches = lock();
        if reaches.held.len() >= MAX_REACHES
            && let Some(oldest) =
                reaches.held.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone())
        {
            reaches.held.remove(&oldest);
        }
        let uses = reaches.uses;
        reaches.held.insert(key, (reach.clone(), uses));
        reach
    }
}

/// Keys of somebody in rules.
fn keys<'a>(principal: &'a str, credential: Option<&'a str>, footing: Footing) -> Vec<&'a str> {
    let role = match footing {
        Footing::Member(role) => Some(role.key()),
        Footing::Free | Footing::Stranger => None,
    };
    ["*", principal].into_iter().chain(credential).chain(role).collect()
}
