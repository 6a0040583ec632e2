//go:build linux

package main

// kind is what an event is about. Its type and severity follow from its name, as they do where one
// program sends it: they are not drawn each for itself.
type kind struct{ name, eventType, severity string }

// kinds are the events, the most frequent first.
var kinds = [...]kind{
	{"page_viewed", "page_view", "low"},
	{"product_viewed", "page_view", "low"},
	{"button_clicked", "user_interaction", "low"},
	{"search_performed", "custom", "low"},
	{"cart_item_added", "custom", "low"},
	{"link_followed", "user_interaction", "low"},
	{"image_resized", "operation_timing", "low"},
	{"video_played", "user_interaction", "low"},
	{"cart_viewed", "page_view", "low"},
	{"checkout_started", "custom", "low"},
	{"filter_used", "user_interaction", "low"},
	{"report_built", "operation_timing", "low"},
	{"signup_started", "custom", "low"},
	{"pricing_viewed", "page_view", "low"},
	{"order_completed", "custom", "low"},
	{"mail_sent", "operation_timing", "low"},
	{"tab_changed", "user_interaction", "low"},
	{"signup_completed", "custom", "low"},
	{"cart_item_removed", "custom", "medium"},
	{"docs_viewed", "page_view", "low"},
	{"payment_failed", "api_error", "high"},
	{"coupon_applied", "custom", "low"},
	{"form_focused", "user_interaction", "low"},
	{"index_updated", "operation_timing", "low"},
	{"file_uploaded", "custom", "low"},
	{"plan_upgraded", "custom", "low"},
	{"menu_opened", "user_interaction", "low"},
	{"invite_sent", "custom", "low"},
	{"login_failed", "api_error", "high"},
	{"report_exported", "custom", "low"},
	{"settings_changed", "custom", "low"},
	{"coupon_refused", "custom", "medium"},
	{"cache_filled", "operation_timing", "low"},
	{"link_shared", "user_interaction", "low"},
	{"slow_query", "operation_timing", "high"},
	{"tour_finished", "user_interaction", "low"},
	{"password_reset", "custom", "medium"},
	{"upload_failed", "api_error", "high"},
	{"theme_changed", "user_interaction", "low"},
	{"payment_retried", "custom", "medium"},
	{"plan_downgraded", "custom", "medium"},
	{"slow_render", "operation_timing", "high"},
	{"survey_answered", "user_interaction", "low"},
	{"webhook_failed", "api_error", "high"},
	{"invite_expired", "custom", "medium"},
	{"slow_upload", "operation_timing", "high"},
	{"account_deleted", "custom", "medium"},
	{"export_clicked", "user_interaction", "low"},
	{"account_locked", "api_error", "critical"},
	{"billing_stopped", "api_error", "critical"},
}

// The values of what is named so, the most frequent first. Countries have two letters each.
var (
	plans     = [...]string{"free", "team", "pro", "business", "enterprise"}
	devices   = [...]string{"phone", "desktop", "tablet", "television"}
	sources   = [...]string{"web-sdk/2.4.1", "ios/5.1.0", "android/5.0.3", "backend", "worker"}
	countries = "USDEGBFRINBRCAESITJPNLPLSEAUMXCHBEATDKFIIENOPTCZROHUGRTRILZAAESGKRTWHKTHIDMYPHVNNZARCLCOPEUAEGNGKEMASAQALTLVEESKSIHR"
)
