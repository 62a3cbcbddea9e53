package framework

// DecodePlugin decodes strictly.
func DecodePlugin(c PluginConfig, into any) error { return c.With.Decode(into) }
