"""One sweep for orphans, then it ends: a CronJob."""
