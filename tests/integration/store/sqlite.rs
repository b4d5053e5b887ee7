//! The contract on SQLite.

use std::sync::Arc;

use relationship_service::application::store::Store;
use relationship_service::store::{Options, SqliteStore};

mod contract_on_sqlite {
    use super::fresh;
    crate::store::contract::contract!(fresh);
}

/// A store on a file of its own.
struct Fresh {
    store: Arc<SqliteStore>,
    folder: tempfile::TempDir,
}

impl Fresh {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn finish(self) {
        self.store.close().await;
        assert_eq!(self.store.counters().failures, 0);
        self.folder.close().unwrap();
    }
}

async fn fresh() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = SqliteStore::open(&path, Options::default()).await.unwrap();
    Fresh {
        store: Arc::new(store),
        folder,
    }
}
