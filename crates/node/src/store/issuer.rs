//! Rows of the issuer: requests and where they stand, what was issued, spaces and who is invited.
//!
//! Never decides: [`tidm_space::identity::issuance::machine`] does. A place on the status list is given out
//! once, in the transaction that signs the credential, and never again.

use sqlx::{AnyConnection, Row as _};

use tidm_space::identity::did::Did;
use tidm_space::identity::issuance::state::Issuance;
use tidm_space::limits::{OPEN_REQUESTS, PAST_REQUESTS};
use tidm_space::time::Time;
use tidm_space::wire::record::issuance as record;

use super::load::bad;
use super::{Store, StoreError};

/// A credential that we issued, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedRow {
    pub issuer: Did,
    pub issuance: String,
    pub holder: Did,
    pub kind: String,
    /// Empty for a credential that makes nobody a member.
    pub space: String,
    pub at: Time,
    pub until: Time,
}

/// A member of a space of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    pub holder: String,
    pub place: i64,
    pub at: Time,
    pub until: Time,
    pub revoked: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub space: String,
    pub holder: String,
    /// Role words, space separated.
    pub roles: String,
    /// Code of ISO 3166.
    pub country: Option<String>,
    /// Of its legal entity; checked when it was invited.
    pub credit_code: Option<String>,
    pub until: Time,
    /// The request that used it.
    pub issuance: Option<String>,
}

pub async fn save(
    conn: &mut AnyConnection,
    it: &Issuance,
    due: Option<Time>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO issuances (id, issuer, holder, state, due, created, record) VALUES ($1,$2,$3,$4,$5,$6,$7)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, due = excluded.due, record = excluded.record",
    )
    .bind(it.id.clone())
    .bind(it.issuer.as_str().to_owned())
    .bind(it.holder.as_str().to_owned())
    .bind(it.state.name().word())
    .bind(due.map(Time::ms))
    .bind(it.created.ms())
    .bind(record::write(it))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub async fn load(conn: &mut AnyConnection, id: &str) -> Result<Option<Issuance>, StoreError> {
    let text: Option<String> = sqlx::query_scalar("SELECT record FROM issuances WHERE id = $1")
        .bind(id.to_owned())
        .fetch_optional(&mut *conn)
        .await?;
    text.map(|it| record::read(&it).map_err(|why| bad("issuances", &why.to_string()))).transpose()
}

/// Requests of a holder that are still to be decided or delivered.
pub async fn open(
    conn: &mut AnyConnection,
    issuer: &Did,
    holder: &Did,
) -> Result<Vec<Issuance>, StoreError> {
    let sql = "SELECT record FROM issuances WHERE issuer = $1 AND holder = $2 AND state IN ('received', 'approved')
         ORDER BY created, id LIMIT $3";
    between(conn, sql, issuer, holder, OPEN_REQUESTS).await
}

/// Requests of a holder that are decided, and delivered or given up: the newest [`PAST_REQUESTS`].
pub async fn past(
    conn: &mut AnyConnection,
    issuer: &Did,
    holder: &Did,
) -> Result<Vec<Issuance>, StoreError> {
    let sql = "SELECT record FROM issuances WHERE issuer = $1 AND holder = $2 AND state NOT IN ('received', 'approved')
         ORDER BY created DESC, id DESC LIMIT $3";
    between(conn, sql, issuer, holder, PAST_REQUESTS).await
}

async fn between(
    conn: &mut AnyConnection,
    sql: &'static str,
    issuer: &Did,
    holder: &Did,
    most: u64,
) -> Result<Vec<Issuance>, StoreError> {
    let rows: Vec<String> = sqlx::query_scalar(sql)
        .bind(issuer.as_str().to_owned())
        .bind(holder.as_str().to_owned())
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await?;
    let read = |it: &String| record::read(it).map_err(|why| bad("issuances", &why.to_string()));
    rows.iter().map(read).collect()
}

/// Gives out the next place on the issuer's list.
pub async fn issue(conn: &mut AnyConnection, it: &IssuedRow) -> Result<u64, StoreError> {
    let place: i64 = sqlx::query_scalar(
        "INSERT INTO issued (issuer, place, issuance, holder, kind, space, at, until)
         SELECT $1, COALESCE(MAX(place), -1) + 1, $2, $3, $4, $5, $6, $7 FROM issued WHERE issuer = $1
         RETURNING place",
    )
    .bind(it.issuer.as_str().to_owned())
    .bind(it.issuance.clone())
    .bind(it.holder.as_str().to_owned())
    .bind(it.kind.clone())
    .bind(it.space.clone())
    .bind(it.at.ms())
    .bind(it.until.ms())
    .fetch_one(&mut *conn)
    .await?;
    u64::try_from(place).map_err(|_| bad("issued", "a negative place"))
}

/// Revokes every membership of `holder` in a space and its invitation; says how many memberships, `None` for who never
/// had either.
pub async fn revoke(
    conn: &mut AnyConnection,
    issuer: &Did,
    (space, holder): (&str, &Did),
    now: Time,
) -> Result<Option<u64>, StoreError> {
    let done = sqlx::query(
        "UPDATE issued SET revoked = $4 WHERE issuer = $1 AND space = $2 AND holder = $3 AND revoked IS NULL",
    )
    .bind(issuer.as_str().to_owned())
    .bind(space.to_owned())
    .bind(holder.as_str().to_owned())
    .bind(now.ms())
    .execute(&mut *conn)
    .await?;
    // Who was cut off does not come back with an invitation of before.
    let invited = sqlx::query("DELETE FROM invitations WHERE space = $1 AND holder = $2")
        .bind(space.to_owned())
        .bind(holder.as_str().to_owned())
        .execute(&mut *conn)
        .await?;
    let issued: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM issued WHERE issuer = $1 AND space = $2 AND holder = $3",
    )
    .bind(issuer.as_str().to_owned())
    .bind(space.to_owned())
    .bind(holder.as_str().to_owned())
    .fetch_one(&mut *conn)
    .await?;
    Ok((issued > 0 || invited.rows_affected() > 0).then_some(done.rows_affected()))
}

pub async fn create_space(
    conn: &mut AnyConnection,
    id: &str,
    name: &str,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO spaces (id, name, at) VALUES ($1,$2,$3)")
        .bind(id.to_owned())
        .bind(name.to_owned())
        .bind(now.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Invites, or renews an invitation.
pub async fn invite(
    conn: &mut AnyConnection,
    it: &Invitation,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO invitations (space, holder, roles, at, until, issuance, country, credit_code) VALUES ($1,$2,$3,$4,$5,NULL,$6,$7)
         ON CONFLICT (space, holder) DO UPDATE SET roles = excluded.roles, at = excluded.at, until = excluded.until, issuance = NULL, country = excluded.country, credit_code = excluded.credit_code",
    )
    .bind(it.space.clone())
    .bind(it.holder.clone())
    .bind(it.roles.clone())
    .bind(now.ms())
    .bind(it.until.ms())
    .bind(it.country.clone())
    .bind(it.credit_code.clone())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// The invitation of `holder`, if it holds and was not used by another request.
pub async fn invitation(
    conn: &mut AnyConnection,
    (space, holder): (&str, &Did),
    now: Time,
) -> Result<Option<Invitation>, StoreError> {
    let row = sqlx::query(
        "SELECT space, holder, roles, until, issuance, country, credit_code FROM invitations
         WHERE space = $1 AND holder = $2 AND until > $3 AND issuance IS NULL",
    )
    .bind(space.to_owned())
    .bind(holder.as_str().to_owned())
    .bind(now.ms())
    .fetch_optional(&mut *conn)
    .await?;
    row.map(|row| {
        Ok(Invitation {
            space: row.try_get(0)?,
            holder: row.try_get(1)?,
            roles: row.try_get(2)?,
            until: Time::from_ms(row.try_get(3)?),
            issuance: row.try_get(4)?,
            country: row.try_get(5)?,
            credit_code: row.try_get(6)?,
        })
    })
    .transpose()
}

/// An invitation is good for one request.
pub async fn use_invitation(
    conn: &mut AnyConnection,
    it: &Invitation,
    issuance: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE invitations SET issuance = $3 WHERE space = $1 AND holder = $2")
        .bind(it.space.clone())
        .bind(it.holder.clone())
        .bind(issuance.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

impl Store {
    pub async fn issuance(&self, id: &str) -> Result<Option<Issuance>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        load(&mut conn, id).await
    }

    /// Requests of one holder, newest first.
    pub async fn issuances_of(
        &self,
        issuer: &Did,
        holder: &Did,
    ) -> Result<Vec<Issuance>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT record FROM issuances WHERE issuer = $1 AND holder = $2 ORDER BY created DESC, id DESC",
        )
        .bind(issuer.as_str().to_owned())
        .bind(holder.as_str().to_owned())
        .fetch_all(self.pool())
        .await?;
        let read = |it: &String| record::read(it).map_err(|why| bad("issuances", &why.to_string()));
        rows.iter().map(read).collect()
    }

    /// Requests whose wallet is to be told, most urgent first.
    pub async fn due_issuances(&self, now: Time, most: i64) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT id FROM issuances WHERE due <= $1 ORDER BY due LIMIT $2")
            .bind(now.ms())
            .bind(most)
            .fetch_all(self.pool())
            .await?)
    }

    /// Revoked places between two bounds of an issuer's list.
    pub async fn revoked(&self, issuer: &Did, from: i64, to: i64) -> Result<Vec<i64>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT place FROM issued WHERE issuer = $1 AND place >= $2 AND place < $3 AND revoked IS NOT NULL",
        )
        .bind(issuer.as_str().to_owned())
        .bind(from)
        .bind(to)
        .fetch_all(self.pool())
        .await?)
    }

    /// Spaces of ours: id and name.
    pub async fn spaces(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query("SELECT id, name FROM spaces ORDER BY at, id")
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Everybody who was ever issued a membership of a space, newest first.
    pub async fn space_members(
        &self,
        issuer: &Did,
        space: &str,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT holder, place, at, until, revoked FROM issued WHERE issuer = $1 AND space = $2 ORDER BY place DESC",
        )
        .bind(issuer.as_str().to_owned())
        .bind(space.to_owned())
        .fetch_all(self.pool())
        .await?;
        let member = |row: &sqlx::any::AnyRow| {
            Ok(MemberRow {
                holder: row.try_get(0)?,
                place: row.try_get(1)?,
                at: Time::from_ms(row.try_get(2)?),
                until: Time::from_ms(row.try_get(3)?),
                revoked: row.try_get::<Option<i64>, _>(4)?.map(Time::from_ms),
            })
        };
        rows.iter().map(member).collect()
    }
}
