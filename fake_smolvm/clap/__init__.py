"""An exact reader of clap 4 (clap_builder 4.6.0) grammars; knows nothing of smolvm."""
