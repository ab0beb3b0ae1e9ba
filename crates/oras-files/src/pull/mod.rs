//! The pull side: stages and verifies files, unpacks directories, and publishes everything in one step.

mod duplicate_content;
mod existing_files;
mod file_target;
mod interrupted_pull;
mod options;
mod output_dir;
mod publish;
mod publish_plan;
mod replaced_file;
mod rollback;
mod stage;
mod staged_item;
mod title_path;
mod unpack_layer;

pub use self::file_target::FileTarget;
pub use self::options::PullOptions;
