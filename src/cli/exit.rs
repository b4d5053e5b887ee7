//! Exit codes: what a script learns without reading a word. `docs/cli.md` lists them.

use std::process::ExitCode;

use crate::grpc::proto::OffboardingState;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done; an offboarding that was waited for has SUCCEEDED.
    Ok = 0,
    /// It was not done, for a reason without a code of its own.
    Failure = 1,
    /// The arguments, the configuration or the request are wrong.
    Usage = 2,
    /// A precondition does not hold: blockers stand, or it is too late to cancel.
    Blocked = 3,
    /// There is no such customer or offboarding.
    NotFound = 4,
    /// No answer now; the same again may succeed later.
    Unavailable = 5,
    /// The offboarding that was waited for ended FAILED or CANCELLED.
    NotRemoved = 6,
    /// The offboarding that was waited for ended UNCONFIRMED: a person decides.
    Unconfirmed = 7,
    /// Something else came first: the plan changed, or another offboarding of the customer runs.
    Conflict = 8,
    /// The caller may not do this.
    Denied = 9,
}

impl Exit {
    /// The code for an answer of the service that is an error.
    pub fn of_code(code: tonic::Code) -> Self {
        use tonic::Code;
        match code {
            Code::Ok => Self::Ok,
            Code::InvalidArgument | Code::OutOfRange => Self::Usage,
            Code::FailedPrecondition => Self::Blocked,
            Code::NotFound => Self::NotFound,
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => {
                Self::Unavailable
            }
            Code::Aborted | Code::AlreadyExists => Self::Conflict,
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied,
            Code::Cancelled
            | Code::Unknown
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => Self::Failure,
        }
    }

    /// The code for an offboarding that was waited for; [`Exit::Ok`] for one that has not ended.
    pub fn of_state(state: OffboardingState) -> Self {
        match state {
            OffboardingState::Failed | OffboardingState::Cancelled => Self::NotRemoved,
            OffboardingState::Unconfirmed => Self::Unconfirmed,
            _ => Self::Ok,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
