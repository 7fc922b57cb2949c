-- Of a payment that was put away, whose events are looked for when its money comes back.
CREATE INDEX stripe_event_put_away ON stripe_event ((payload #>> '{data,object,id}'))
    WHERE outcome = 'put away by an operator';
CREATE INDEX dismissed_payment_charge ON dismissed_payment (stripe_charge_id);
