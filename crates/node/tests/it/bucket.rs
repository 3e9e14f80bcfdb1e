//! Deliveries into and out of buckets, against a real S3 server where one is given.
