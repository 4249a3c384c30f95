//! Wire types, conversions and transport. prost, tonic and rustls types stop here.
