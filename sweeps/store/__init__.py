"""What lies in a sweep's folder: on local disks, pyarrow.fs and fsspec alike, whole after any kill."""
