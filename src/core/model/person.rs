//! People as Airtable shows them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::id::UserId;

/// Somebody who writes: a person, or a program with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their id; the same for the same principal, always.
    pub id: UserId,
    /// Their address; of programs one nobody reads mail at, for Airtable's clients want one.
    pub email: String,
    /// What people see.
    pub name: String,
}

impl Person {
    /// The person behind a principal: `local`, `person:ADDRESS`, `service:NAME` or `token:NAME`. Of a
    /// person the address stands for the name.
    pub fn of(principal: &str) -> Self {
        let named = ["token:", "service:"].iter().find_map(|kind| principal.strip_prefix(kind));
        if let (None, Some(address)) = (named, principal.strip_prefix("person:")) {
            let id = UserId::from_bytes(&Sha256::digest(principal.as_bytes()));
            return Self { id, email: address.to_owned(), name: address.to_owned() };
        }
        let name = named.unwrap_or(principal);
        // `.invalid` is reserved (RFC 2606): no mail ever arrives.
        let word: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let word = if word.is_empty() { "user".to_owned() } else { word.to_lowercase() };
        Self {
            id: UserId::from_bytes(&Sha256::digest(principal.as_bytes())),
            email: format!("{word}@tablewright.invalid"),
            name: name.to_owned(),
        }
    }

    /// A collaborator as the Web API gives it.
    pub fn to_json(&self) -> Value {
        json!({"id": self.id, "email": self.email, "name": self.name})
    }
}

#[cfg(test)]
mod tests {
    use super::Person;

    #[test]
    fn a_principal_is_always_the_same_person() {
        let ada = Person::of("token:Ada L.");
        assert_eq!((ada.name.as_str(), ada.email.as_str()), ("Ada L.", "adal@tablewright.invalid"));
        assert_eq!(ada, Person::of("token:Ada L."));
        assert_ne!(ada.id, Person::of("Ada L.").id);
    }
}
