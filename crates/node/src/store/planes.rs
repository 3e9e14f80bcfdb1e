//! Registered planes, data flows and the tokens of their addresses.
//!
//! Never keeps a token that opens our data: only its digest. The secrets that we present to other planes are
//! kept as they are, so rows are as secret as the store.

use sqlx::{AnyConnection, Row as _};

use tidm_crypto::hash::{Digest, sha256};
use tidm_space::dataflow::message::Plane;
use tidm_space::dataflow::registration::{Authorization, Registration};
use tidm_space::dataflow::state::Flow;
use tidm_space::engine::view::{Needs, View};
use tidm_space::id::Id;
use tidm_space::limits::OPEN_FLOWS;
use tidm_space::time::Time;
use tidm_space::wire::dps::registration;
use tidm_space::wire::record;

use super::load::{bad, one, read};
use super::read::{Cursor, Page};
use super::{Store, StoreError};

/// What the tokens of one flow's address open, until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowToken {
    pub flow: Id,
    pub token: Digest,
    /// Of the token that asks for a fresh one; none where there is no renewal.
    pub refresh: Option<Digest>,
    pub until: Time,
}

/// Bytes that a flow brought here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowData {
    pub flow: Id,
    pub object: String,
    pub bytes: u64,
    pub digest: Digest,
    pub at: Time,
}

/// The parts of a view that are about flows.
pub(super) async fn load(
    conn: &mut AnyConnection,
    needs: &Needs,
    view: &mut View,
) -> Result<(), StoreError> {
    if let Some(id) = &needs.flow {
        view.flows.extend(flow(conn, id).await?);
        if view.flows.iter().any(|it| it.plane == Plane::Control) {
            let sql = "SELECT record FROM transfers WHERE id = $1";
            let record = one(conn, sql, &[id.as_str()]).await?;
            view.transfer = read("transfers", record.as_deref(), record::transfer::decode)?;
        }
    }
    if let Some((partner, process)) = &needs.flow_of {
        let sql = "SELECT record FROM flows WHERE plane = 'data' AND partner = $1 AND process = $2";
        let record = one(conn, sql, &[partner.as_str(), process.as_str()]).await?;
        view.flows.extend(read("flows", record.as_deref(), record::flow::decode)?);
    }
    if let Some(partner) = &needs.flows_with {
        let sql = "SELECT COUNT(*) FROM (SELECT id FROM flows WHERE plane = 'data' AND partner = $1 AND open = 1 LIMIT $2) AS counted";
        let open: i64 = sqlx::query_scalar(sql)
            .bind(partner.as_str().to_owned())
            .bind(i64::from(OPEN_FLOWS))
            .fetch_one(&mut *conn)
            .await?;
        view.open_flows = u32::try_from(open).unwrap_or(u32::MAX);
    }
    if needs.flow.is_none() {
        let transfers: Vec<Id> =
            view.transfer.iter().chain(&view.open_transfers).map(|it| it.id.clone()).collect();
        for id in transfers {
            view.flows.extend(flow(conn, &id).await?);
        }
    }
    if let Some(profile) = &needs.data_plane {
        let sql = "SELECT p.record FROM plane_profiles f JOIN planes p ON p.plane = 'data' AND p.id = f.id
                   WHERE f.profile = $1 ORDER BY p.id LIMIT 1";
        let record = one(conn, sql, &[profile.as_str()]).await?;
        view.data_plane = record.map(|it| registered(Plane::Data, &it)).transpose()?;
    }
    Ok(())
}

async fn flow(conn: &mut AnyConnection, id: &Id) -> Result<Option<Flow>, StoreError> {
    let record = one(conn, "SELECT record FROM flows WHERE id = $1", &[id.as_str()]).await?;
    read("flows", record.as_deref(), record::flow::decode)
}

fn registered(plane: Plane, record: &str) -> Result<Registration, StoreError> {
    registration::read(plane, record.as_bytes()).map_err(|why| bad("planes", &why.to_string()))
}

impl Store {
    /// Whether a data plane of another program runs this format.
    pub async fn runs_format(&self, format: &str) -> Result<bool, StoreError> {
        let sql = "SELECT COUNT(*) FROM plane_profiles f JOIN planes p ON p.plane = 'data' AND p.id = f.id WHERE f.profile = $1";
        let found: i64 =
            sqlx::query_scalar(sql).bind(format.to_owned()).fetch_one(self.pool()).await?;
        Ok(found > 0)
    }
}

/// Registers a plane, replacing an earlier registration of the same id whole.
pub async fn save_plane(
    conn: &mut AnyConnection,
    it: &Registration,
    now: Time,
) -> Result<(), StoreError> {
    let token = match &it.authorization {
        Authorization::Bearer { accept, .. } => sha256(accept.as_bytes()).to_string(),
        Authorization::Network => String::new(),
    };
    sqlx::query(
        "INSERT INTO planes (plane, id, token, created, record) VALUES ($1,$2,$3,$4,$5)
         ON CONFLICT (plane, id) DO UPDATE SET token = excluded.token, record = excluded.record",
    )
    .bind(it.plane.word())
    .bind(it.id.to_string())
    .bind(token)
    .bind(now.ms())
    .bind(registration::write(it))
    .execute(&mut *conn)
    .await?;
    if it.plane == Plane::Data {
        drop_profiles(conn, &it.id).await?;
        for profile in &it.profiles {
            sqlx::query("INSERT INTO plane_profiles (profile, id) VALUES ($1,$2) ON CONFLICT (profile, id) DO NOTHING")
                .bind(profile.clone())
                .bind(it.id.to_string())
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}

async fn drop_profiles(conn: &mut AnyConnection, id: &Id) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM plane_profiles WHERE id = $1")
        .bind(id.to_string())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

pub async fn drop_plane(conn: &mut AnyConnection, plane: Plane, id: &Id) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM planes WHERE plane = $1 AND id = $2")
        .bind(plane.word())
        .bind(id.to_string())
        .execute(&mut *conn)
        .await?;
    if plane == Plane::Data {
        drop_profiles(conn, id).await?;
    }
    Ok(())
}

pub async fn save_token(conn: &mut AnyConnection, it: &FlowToken) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO flow_tokens (flow, token, refresh, until) VALUES ($1,$2,$3,$4)
         ON CONFLICT (flow) DO UPDATE SET token = excluded.token, refresh = excluded.refresh, until = excluded.until",
    )
    .bind(it.flow.to_string())
    .bind(it.token.to_string())
    .bind(it.refresh.map(|it| it.to_string()).unwrap_or_default())
    .bind(it.until.ms())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub async fn save_data(conn: &mut AnyConnection, it: &FlowData) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO flow_data (flow, object, bytes, digest, at) VALUES ($1,$2,$3,$4,$5) ON CONFLICT (flow, object) DO NOTHING")
        .bind(it.flow.to_string())
        .bind(it.object.clone())
        .bind(i64::try_from(it.bytes).unwrap_or(i64::MAX))
        .bind(it.digest.to_string())
        .bind(it.at.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

impl Store {
    pub async fn flow(&self, id: &Id) -> Result<Option<Flow>, StoreError> {
        let record: Option<String> = sqlx::query_scalar("SELECT record FROM flows WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        read("flows", record.as_deref(), record::flow::decode)
    }

    /// Flows, newest first.
    pub async fn flows(&self, after: Option<&Cursor>, most: i64) -> Result<Page<Flow>, StoreError> {
        let (key, id) = after.map_or((i64::MAX, String::new()), |it| (it.key, it.id.clone()));
        let rows = sqlx::query(
            "SELECT moved, id, record FROM flows WHERE moved < $1 OR (moved = $1 AND id < $2) ORDER BY moved DESC, id DESC LIMIT $3",
        )
        .bind(key)
        .bind(id)
        .bind(most.saturating_add(1))
        .fetch_all(self.pool())
        .await?;
        let wanted = usize::try_from(most).unwrap_or(0);
        let mut page = Page { rows: Vec::new(), next: None };
        for row in rows {
            if page.rows.len() == wanted {
                page.next = page
                    .rows
                    .last()
                    .map(|it: &Flow| Cursor { key: it.moved.ms(), id: it.id.to_string() });
                break;
            }
            let record: String = row.get(2);
            page.rows.extend(read("flows", Some(&record), record::flow::decode)?);
        }
        Ok(page)
    }

    pub async fn plane(&self, plane: Plane, id: &Id) -> Result<Option<Registration>, StoreError> {
        let sql = "SELECT record FROM planes WHERE plane = $1 AND id = $2";
        let record: Option<String> = sqlx::query_scalar(sql)
            .bind(plane.word())
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        record.map(|it| registered(plane, &it)).transpose()
    }

    /// Who presents a token of this digest.
    pub async fn plane_with(
        &self,
        plane: Plane,
        token: Digest,
    ) -> Result<Option<Registration>, StoreError> {
        let sql = "SELECT record FROM planes WHERE plane = $1 AND token = $2 ORDER BY id LIMIT 1";
        let record: Option<String> = sqlx::query_scalar(sql)
            .bind(plane.word())
            .bind(token.to_string())
            .fetch_optional(self.pool())
            .await?;
        record.map(|it| registered(plane, &it)).transpose()
    }

    /// All registered planes of a kind, by id; registration is an administrator's, so they are few.
    pub async fn planes(&self, plane: Plane) -> Result<Vec<Registration>, StoreError> {
        let sql = "SELECT record FROM planes WHERE plane = $1 ORDER BY id LIMIT 1000";
        let records: Vec<String> =
            sqlx::query_scalar(sql).bind(plane.word()).fetch_all(self.pool()).await?;
        records.iter().map(|it| registered(plane, it)).collect()
    }

    pub async fn flow_token(&self, flow: &Id) -> Result<Option<FlowToken>, StoreError> {
        let row = sqlx::query("SELECT token, refresh, until FROM flow_tokens WHERE flow = $1")
            .bind(flow.to_string())
            .fetch_optional(self.pool())
            .await?;
        let digest =
            |it: String| Digest::parse(&it).map_err(|_| bad("flow_tokens", "not a digest"));
        row.map(|row| {
            let refresh: String = row.get(1);
            Ok(FlowToken {
                flow: flow.clone(),
                token: digest(row.get(0))?,
                refresh: (!refresh.is_empty()).then(|| digest(refresh)).transpose()?,
                until: Time::from_ms(row.get(2)),
            })
        })
        .transpose()
    }

    /// What a flow brought here, oldest first.
    pub async fn flow_data(&self, flow: &Id) -> Result<Vec<FlowData>, StoreError> {
        let rows = sqlx::query("SELECT object, bytes, digest, at FROM flow_data WHERE flow = $1 ORDER BY at, object LIMIT 1000")
            .bind(flow.to_string())
            .fetch_all(self.pool())
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(FlowData {
                    flow: flow.clone(),
                    object: row.get(0),
                    bytes: u64::try_from(row.get::<i64, _>(1)).unwrap_or(0),
                    digest: Digest::parse(&row.get::<String, _>(2))
                        .map_err(|_| bad("flow_data", "not a digest"))?,
                    at: Time::from_ms(row.get(3)),
                })
            })
            .collect()
    }
}
