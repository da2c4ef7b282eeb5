package topology

// SettingsThatMatter is settingsOf for tests.
var SettingsThatMatter = settingsOf
