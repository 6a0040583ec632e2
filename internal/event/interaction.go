package event

// Interaction is the short form of something a person did on a page.
type Interaction struct {
	InteractionType string // click, scroll, …; becomes the event's name
	Element         string
	PagePath        string
	Coordinates     *Point
}

// Point is a place on a page, in pixels.
type Point struct{ X, Y float64 }

// Event returns the user_interaction event. The caller fills in who and when.
func (i *Interaction) Event() Event {
	e := base(i.InteractionType, UserInteraction)
	var o objectWriter
	o.text("interaction_type", i.InteractionType)
	o.text("element", i.Element)
	o.text("page_path", i.PagePath)
	if i.Coordinates != nil {
		var at objectWriter
		at.number("x", &i.Coordinates.X)
		at.number("y", &i.Coordinates.Y)
		o.raw("coordinates", at.object())
	}
	e.Properties = o.object()
	return e
}

// PageViewed is the short form of a page view.
type PageViewed struct {
	Path     string
	Referrer string
}

// Event returns the page_view event. The caller fills in who and when.
func (p *PageViewed) Event() Event {
	e := base(string(PageView), PageView)
	e.Referrer = p.Referrer
	var o objectWriter
	o.text("path", p.Path)
	e.Properties = o.object()
	return e
}
